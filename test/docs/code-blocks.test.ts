import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, describe, expect, test } from 'vitest'
import { codeBlocks, isAsPrinted, pages, root, type CodeBlock } from './support/code-blocks.js'

const timeoutMs = 120_000
const hint = 'what a block needs from around it goes into a comment before it: see code-blocks.ts'

// Inside of the repository, where imports of holdfast mean this one.
const folder = mkdtempSync(join(root, 'test/docs/.blocks-'))
afterAll(() => rmSync(folder, { recursive: true }))

const blocks = pages().flatMap((page) => codeBlocks(page))
const programs = blocks.filter(({ given }) => given === undefined)
const nameOf = ({ page, line }: CodeBlock): string => `${page}:${line}`

for (const block of blocks)
  writeFileSync(fileOf(block), `${block.given ?? ''}${block.code}\nexport {}\n`)

describe('the code in README.md and docs/', () => {
  test('has no type errors', { timeout: timeoutMs }, () => {
    const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path))
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
    // A page may name what it does not use.
    const lenient = { ...options, noUnusedLocals: false, noUnusedParameters: false }
    const program = ts.createProgram(blocks.map(fileOf), lenient)
    const problems = blocks.flatMap((block) => {
      const file = program.getSourceFile(fileOf(block))
      const givenLines = (block.given ?? '').split('\n').length - 1
      const found = [
        ...program.getSyntacticDiagnostics(file),
        ...program.getSemanticDiagnostics(file),
      ]
      return found.map(({ messageText, start = 0 }) => {
        const inFile = file?.getLineAndCharacterOfPosition(start).line ?? 0
        const text = ts.flattenDiagnosticMessageText(messageText, '\n')
        return `${block.page}:${block.line + inFile - givenLines}: ${text}`
      })
    })
    expect(problems, hint).toEqual([])
  })

  test('is found: README.md has a whole program, and what it prints', () => {
    const [first] = codeBlocks('README.md')
    expect(first).toMatchObject({ given: undefined, prints: expect.any(String) as string })
    expect(first!.code.trimEnd().split('\n').length).toBeLessThanOrEqual(25)
  })

  test('is a program that runs by itself, or says what it needs', () => {
    const openings = (fence: string, text: string): number => text.split(fence).length - 1
    const fences = pages().map((page) => openings('\n```ts\n', `\n${codeText(page)}`))
    expect(blocks).toHaveLength(fences.reduce((sum, count) => sum + count, 0))
  })

  test.concurrent.each(programs.map((block) => [nameOf(block), block] as const))(
    '%s runs as printed, and ends by itself',
    { timeout: timeoutMs },
    async (_, block) => {
      const { NODE_TEST_CONTEXT: __, NODE_OPTIONS: ___, ...env } = process.env
      const options = { cwd: root, env, timeout: 60_000 }
      const loader = ['--import', 'tsx', fileOf(block)]
      const run = promisify(execFile)(process.execPath, loader, options)
      const { stdout } = await run.catch((error: unknown) => {
        const { message, stdout, stderr } = error as Error & { stdout: string; stderr: string }
        throw new Error(`${message}\n${stdout}\n${stderr}`)
      })
      if (block.prints !== undefined && !isAsPrinted(stdout, block.prints)) {
        expect(stdout).toBe(block.prints)
      }
      if (block.code.includes("'node:test'")) {
        expect(stdout).toMatch(/^(#|ℹ) pass [1-9]/m)
        expect(stdout).toMatch(/^(#|ℹ) fail 0$/m)
      }
    },
  )
})

describe('what a page says that a program prints', () => {
  test('is compared line by line, with … for anything', () => {
    expect(isAsPrinted('a 12 ms\nb\n', 'a … ms\nb\n')).toBe(true)
    expect(isAsPrinted('a 12 ms\nc\n', 'a … ms\nb\n')).toBe(false)
    expect(isAsPrinted('a 12 ms\nb\nmore\n', 'a … ms\nb\n')).toBe(false)
    expect(isAsPrinted('a+b', 'a.b')).toBe(false)
  })

  test('belongs to the program before it, and a comment to the block after it', () => {
    const page = [
      '<!-- given\ndeclare const a: number\n-->\n',
      '```ts\nb(a)\n```',
      'text\n',
      '```ts\nc()\n```',
      'It prints:\n',
      '<!-- prints -->\n',
      '```text\nhello\n```\n',
    ].join('\n')
    expect(codeBlocks('page.md', page)).toEqual([
      {
        page: 'page.md',
        line: 6,
        code: 'b(a)\n',
        given: 'declare const a: number\n',
        prints: undefined,
      },
      { page: 'page.md', line: 11, code: 'c()\n', given: undefined, prints: 'hello\n' },
    ])
  })
})

function fileOf(block: CodeBlock): string {
  return join(folder, `${block.page.replaceAll('/', '-')}-${block.line}.mts`)
}

function codeText(page: string): string {
  return ts.sys.readFile(join(root, page)) ?? ''
}
