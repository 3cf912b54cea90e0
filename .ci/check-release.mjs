// Fails unless the tag, the version of package.json and CHANGELOG.md speak of the same release.
//
//   node .ci/check-release.mjs v1.2.3
import { readFileSync } from 'node:fs'

const tag = process.argv[2] ?? ''
const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const { version } = JSON.parse(read('package.json'))
const changelog = read('CHANGELOG.md')
const heading = new RegExp(
  `^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d{2}-\\d{2}$`,
  'm',
)
const unreleased = /^## \[Unreleased\]\n(.*?)(?=^## |(?![^]))/ms.exec(changelog)?.[1] ?? ''

const problems = []
if (tag !== `v${version}`) problems.push(`the tag is ${tag}, package.json says ${version}`)
if (!heading.test(changelog)) problems.push(`CHANGELOG.md has no heading "## [${version}] - date"`)
if (/^- /m.test(unreleased)) problems.push('CHANGELOG.md still has entries under Unreleased')

for (const problem of problems) console.error(problem)
if (problems.length === 0) console.log(`${tag}: tag, version and changelog agree`)
process.exitCode = problems.length === 0 ? 0 : 1
