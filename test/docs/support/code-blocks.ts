import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../../', import.meta.url))

/** README.md and every page of docs/, but for the generated reference. */
export const pages = (): string[] => [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

export interface CodeBlock {
  readonly page: string
  /** The line of its first line of code, counted from 1. */
  readonly line: number
  readonly code: string
  /** What a reader has from the text around it; undefined for a whole program. */
  readonly given: string | undefined
  /** What a whole program prints, where the page says it; `…` stands for anything. */
  readonly prints: string | undefined
}

/**
 * The TypeScript blocks of a page. One without more is a whole program, which must run as it stands.
 * One that needs something from around it names that in a comment before it, which readers do not see:
 *
 *     <!-- given
 *     import type { Node } from 'holdfast'
 *     declare const node: Node
 *     -->
 *
 * A block of text after `<!-- prints -->` is what the program before it prints.
 */
export function codeBlocks(
  page: string,
  text = readFileSync(join(root, page), 'utf8'),
): CodeBlock[] {
  const blocks: CodeBlock[] = []
  const pattern =
    /(?:^<!-- given\n(?<given>.*?)^-->\s+)?^```ts\n(?<code>.*?)^```$(?:\n\s*(?:[^\n`]+\n\s*)?<!-- prints -->\n\s*```text\n(?<prints>.*?)^```$)?/gms
  for (const match of text.matchAll(pattern)) {
    const { given, code = '', prints } = match.groups ?? {}
    const before = text.slice(0, match.index + match[0].indexOf('```ts\n'))
    blocks.push({ page, line: before.split('\n').length + 1, code, given, prints })
  }
  return blocks
}

/** Whether `printed` is what the page says, where `…` stands for anything on its line. */
export function isAsPrinted(printed: string, says: string): boolean {
  const lines = says.trimEnd().split('\n')
  const escaped = lines.map((line) =>
    line
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.+'),
  )
  return new RegExp(`^${escaped.join('\\n')}$`).test(printed.trimEnd())
}
