import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { pages, root } from './support/code-blocks.js'

const withoutCode = (text: string): string =>
  text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, '')

/** The anchor that GitHub gives to a heading. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

function anchorsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/^```.*?^```$/gms, '')
  return Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading = '']) => anchorOf(heading))
}

function brokenLinks(page: string): string[] {
  const text = withoutCode(readFileSync(join(root, page), 'utf8'))
  const targets = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target)
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join(root, page) : join(root, dirname(page), path)
      if (!existsSync(file)) return true
      return anchor !== undefined && !anchorsOf(file).includes(anchor)
    })
    .map((target) => `${page}: ${target}`)
}

test('every link of README.md and docs/ leads to a file that is there, and to a heading in it', () => {
  expect(pages().flatMap(brokenLinks)).toEqual([])
})

test('every page of docs/ is reached from README.md or another page', () => {
  const texts = pages().map((page) => ({ page, text: readFileSync(join(root, page), 'utf8') }))
  const isReached = (target: string): boolean =>
    texts.some(({ page, text }) => {
      const path = page === 'README.md' ? target : target.replace(/^docs\//, '')
      return (
        page !== target && new RegExp(`\\]\\(${path.replaceAll('.', '\\.')}(#[^)]*)?\\)`).test(text)
      )
    })
  expect(pages().filter((page) => page !== 'README.md' && !isReached(page))).toEqual([])
})
