/**
 * Draws docs/demo.svg, the picture of README.md, out of one run of the demo.
 *
 * Run it: npm run docs:picture
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { drawPicture } from './picture.js'
import type { Facts } from './summary.js'

const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

const demo = ['--import', 'tsx', pathOf('../demo.ts'), '--json']
const { stdout } = await promisify(execFile)(process.execPath, demo)
const facts = JSON.parse(stdout) as Facts
await writeFile(pathOf('../../docs/demo.svg'), drawPicture(facts))
