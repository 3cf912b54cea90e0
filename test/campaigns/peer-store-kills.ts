import { killWhileSaving } from '../support/kill-while-saving.js'

// Kills a process that saves known peers, again and again: `node --import tsx
// test/campaigns/peer-store-kills.ts [--quick] [--kills=500] [--seed=1]`.

const argument = (name: string, otherwise: number): number => {
  const given = process.argv.find((text) => text.startsWith(`--${name}=`))
  return given === undefined ? otherwise : Number(given.slice(name.length + 3))
}
const isQuick = process.argv.includes('--quick')
const kills = argument('kills', isQuick ? 20 : 500)
const seed = argument('seed', 1)
const startMs = performance.now()
const saves = await killWhileSaving(kills, seed)
const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
console.log(
  `${kills} kills, ${saves} confirmed saves, ${seconds} s: each time the file was whole (seed ${seed})`,
)
