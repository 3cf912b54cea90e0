import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import type { Edit } from './list.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const copied = ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts']

/** A copy of the sources, in which rules are broken and those who should notice are asked. */
export class Workshop {
  readonly #directory = mkdtempSync(join(tmpdir(), 'holdfast-mutants-'))
  readonly #originals = new Map<string, string>()

  constructor() {
    for (const name of copied)
      cpSync(join(root, name), join(this.#directory, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(this.#directory, 'node_modules'))
  }

  /** Makes all edits; each must apply exactly once, and the result must compile. */
  edit(edits: readonly Edit[]): void {
    for (const { file, find, replace } of edits) {
      const path = join(this.#directory, file)
      const text = readFileSync(path, 'utf8')
      const count = text.split(find).length - 1
      if (count !== 1) throw new Error(`found ${count} times in ${file}, not once: ${find}`)
      if (!this.#originals.has(path)) this.#originals.set(path, text)
      writeFileSync(
        path,
        text.replace(find, () => replace),
      )
    }
    this.#compile([...this.#originals.keys()])
  }

  /** Takes all edits back. */
  restore(): void {
    for (const [path, text] of this.#originals) writeFileSync(path, text)
    this.#originals.clear()
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** What the explorer found first, or undefined when all holds. */
  explore(options: { readonly isSmall: boolean }): string | undefined {
    return this.#explorer('the explorer', [
      '--replay',
      '0',
      ...(options.isSmall ? ['--small'] : []),
    ])
  }

  /** Where a replay on real nodes differs first from the model, or undefined. */
  replay(): string | undefined {
    return this.#explorer('the replay', ['--only-replay', '--small', '--replay', '10'])
  }

  #explorer(name: string, parameters: readonly string[]): string | undefined {
    const main = join(this.#directory, 'test/explorer/main.ts')
    const command = ['--import', 'tsx', main, '--json', ...parameters]
    const { status, stdout, stderr } = this.#node(command)
    if (status === 0) return undefined
    let worlds: { name: string; violation?: string; mismatch?: { what: string[] } }[]
    try {
      worlds = (JSON.parse(stdout) as { worlds: typeof worlds }).worlds
    } catch {
      return `${name}, which gives up: ${/^\w*Error: .*$/m.exec(stderr)?.[0] ?? stderr}`
    }
    const found = worlds.find(({ violation, mismatch }) => (violation ?? mismatch) !== undefined)
    return `${name}, in "${found?.name}": ${found?.violation ?? found?.mismatch?.what[0]}`
  }

  /** The first test of a file that fails, or undefined when all pass. */
  test(file: string): string | undefined {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs')
    const { status, stdout, stderr } = this.#node([
      vitest,
      'run',
      file,
      '--bail=1',
      '--reporter=json',
    ])
    if (status === 0) return undefined
    const start = stdout.indexOf('{')
    if (start < 0) throw new Error(`vitest did not run: ${stderr}`)
    const report = JSON.parse(stdout.slice(start)) as {
      testResults: { assertionResults: { status: string; fullName: string }[] }[]
    }
    const failed = report.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .find((result) => result.status === 'failed')
    if (failed === undefined) throw new Error(`no test of ${file} ran: ${stderr}`)
    return `${file}: "${failed.fullName}"`
  }

  #node(parameters: string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(process.execPath, parameters, {
      cwd: this.#directory,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    })
  }

  #compile(files: string[]): void {
    const options: ts.CompilerOptions = {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
    }
    const program = ts.createProgram(files, options)
    const problems = ts.getPreEmitDiagnostics(program)
    if (problems.length === 0) return
    const host = {
      getCanonicalFileName: (name: string): string => name,
      getCurrentDirectory: (): string => this.#directory,
      getNewLine: (): string => '\n',
    }
    throw new Error(`the mutant does not compile:\n${ts.formatDiagnostics(problems, host)}`)
  }
}
