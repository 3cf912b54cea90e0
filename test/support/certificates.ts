import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Credentials {
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  readonly name?: string
  /** subjectAltName, as OpenSSL writes it. */
  readonly san?: string
  /** Signs it; default: itself. */
  readonly issuer?: Credentials
  readonly isCa?: boolean
  readonly notBefore?: string
  readonly notAfter?: string
}

/** Whether the machine has the command that makes certificates. */
export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A key and a certificate, made now and written nowhere that stays. */
export function makeCertificate(options: CertificateOptions = {}): Credentials {
  const { name = 'node', san = 'IP:127.0.0.1', issuer, isCa = false } = options
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-certificates-'))
  const file = (base: string): string => join(directory, base)
  const openssl = (...parameters: string[]): void => {
    execFileSync('openssl', parameters, { cwd: directory, stdio: 'pipe' })
  }
  try {
    const extensions = isCa
      ? 'basicConstraints=critical,CA:TRUE'
      : `basicConstraints=CA:FALSE\nsubjectAltName=${san}`
    writeFileSync(file('extensions'), extensions)
    writeFileSync(file('index'), '')
    writeFileSync(file('serial'), '01')
    writeFileSync(
      file('config'),
      '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n' +
        'policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n',
    )
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    openssl('req', '-new', ...key, '-keyout', 'key', '-out', 'request', '-subj', `/CN=${name}`)
    if (issuer !== undefined) {
      writeFileSync(file('issuer.cert'), issuer.cert)
      writeFileSync(file('issuer.key'), issuer.key)
    }
    const signer =
      issuer === undefined
        ? ['-selfsign', '-keyfile', 'key']
        : ['-cert', 'issuer.cert', '-keyfile', 'issuer.key']
    const { notBefore = '20200101000000Z', notAfter = '20990101000000Z' } = options
    const dates = ['-startdate', notBefore, '-enddate', notAfter]
    const files = ['-config', 'config', '-extfile', 'extensions', '-in', 'request', '-out', 'cert']
    openssl('ca', '-batch', '-notext', ...files, ...signer, ...dates)
    return { cert: readFileSync(file('cert'), 'utf8'), key: readFileSync(file('key'), 'utf8') }
  } finally {
    rmSync(directory, { recursive: true })
  }
}
