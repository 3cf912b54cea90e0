import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const timeoutMs = 180_000

describe("the user's test in docs/TESTING.md", () => {
  let folder: string
  let file: string
  let code: string

  beforeAll(async () => {
    const page = await readFile(join(root, 'docs/TESTING.md'), 'utf8')
    const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), ([, body]) => body!)
    expect(blocks).toHaveLength(1)
    code = blocks[0]!
    // Inside of the repository, where imports of holdfast mean this one.
    folder = await mkdtemp(join(root, 'test/docs/.testing-page-'))
    file = join(folder, 'user.test.mts')
    await writeFile(file, code)
  })

  afterAll(async () => {
    await rm(folder, { recursive: true })
  })

  test('is under 40 lines', () => {
    expect(code.trimEnd().split('\n').length).toBeLessThan(40)
  })

  test(
    'has no type errors',
    () => {
      const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path))
      const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
      const program = ts.createProgram([file], options)
      const problems = program
        .getSemanticDiagnostics(program.getSourceFile(file))
        .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
      expect(problems).toEqual([])
    },
    timeoutMs,
  )

  test(
    'passes, for each of its seeds',
    async () => {
      const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', '--test', '--test-reporter', 'tap', file],
        { cwd: root, env },
      )
      expect(stdout).toMatch(/^# pass 3$/m)
      expect(stdout).toMatch(/^# fail 0$/m)
    },
    timeoutMs,
  )
})
