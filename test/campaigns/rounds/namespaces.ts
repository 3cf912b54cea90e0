import { setTimeout as sleep } from 'node:timers/promises'
import { command } from './command.js'
import type { Place } from './crew.js'

const prefix = 'holdfast-rounds'
const lossTable = 'ip loss'
const maxRemovals = 5
const removalPauseMs = 100

/** An address range that nothing outside of the namespaces ever sees. */
const ipOf = (index: number): string => `10.83.0.${index + 1}`

/**
 * Hosts as network namespaces: one each, with one IP, on two bridges (the first half and the second)
 * that a trunk joins. The bridges have a namespace of their own, so that nothing of it touches the
 * machine's own network. The namespaces are named after this process; `remove` removes all of it.
 */
export class Namespaces implements Place {
  readonly name = 'namespaces'
  readonly ips: readonly string[]
  readonly #switch: string

  private constructor(count: number) {
    this.ips = Array.from({ length: count }, (_, index) => ipOf(index))
    this.#switch = nameOf('switch')
  }

  /** Rejects when this machine does not allow it; nothing is left then. */
  static async create(count: number): Promise<Namespaces> {
    await removeOfDead()
    const namespaces = new Namespaces(count)
    try {
      await namespaces.#build()
      return namespaces
    } catch (error) {
      await namespaces.remove()
      throw error
    }
  }

  prefix(ip: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.#hostOf(ip)]
  }

  /** Whether two members are on the same side of the trunk. */
  areTogether(a: string, b: string): boolean {
    return this.#sideOf(a) === this.#sideOf(b)
  }

  /** Joins the two halves, or cuts the network in two, without a word to anyone. */
  async setTrunk(state: 'up' | 'down'): Promise<void> {
    await this.#inSwitch('link', 'set', 'trunk0', state)
  }

  /** From now on every member loses this share of the TCP packets that reach it, at random. */
  async losePackets(percent: number): Promise<void> {
    const rule = `ip protocol tcp numgen random mod 100 < ${percent} counter drop`
    await Promise.all(
      this.ips.map((ip) =>
        this.#nft(
          ip,
          `add table ${lossTable}; ` +
            `add chain ${lossTable} in { type filter hook input priority 0; }; ` +
            `add rule ${lossTable} in ${rule}`,
        ),
      ),
    )
  }

  /** Ends the loss. Resolves with how many packets were lost. */
  async loseNoPackets(): Promise<number> {
    const counts = await Promise.all(
      this.ips.map(async (ip) => {
        const rules = await this.#nft(ip, `list table ${lossTable}`)
        await this.#nft(ip, `delete table ${lossTable}`)
        return Number(/counter packets (\d+)/.exec(rules)?.[1] ?? 0)
      }),
    )
    return counts.reduce((total, count) => total + count, 0)
  }

  /** Removes whatever there is of it. Rejects when something of it is left. */
  async remove(): Promise<void> {
    await removeNamespaces((name) => name.startsWith(nameOf('')))
  }

  async #build(): Promise<void> {
    await command('ip', 'netns', 'add', this.#switch)
    for (const side of [0, 1]) {
      await this.#inSwitch('link', 'add', `bridge${side}`, 'type', 'bridge')
      await this.#inSwitch('link', 'set', `bridge${side}`, 'up')
    }
    await this.#inSwitch('link', 'add', 'trunk0', 'type', 'veth', 'peer', 'name', 'trunk1')
    for (const side of [0, 1]) await this.#plug(`trunk${side}`, side)
    for (const [index, ip] of this.ips.entries()) await this.#buildHost(index, ip)
  }

  async #buildHost(index: number, ip: string): Promise<void> {
    const [host, port] = [this.#hostOf(ip), `port${index}`]
    await command('ip', 'netns', 'add', host)
    const peer = ['peer', 'name', 'eth0', 'netns', host]
    await this.#inSwitch('link', 'add', port, 'type', 'veth', ...peer)
    await this.#plug(port, this.#sideOf(ip))
    await command('ip', '-n', host, 'address', 'add', `${ip}/24`, 'dev', 'eth0')
    for (const link of ['lo', 'eth0']) await command('ip', '-n', host, 'link', 'set', link, 'up')
  }

  async #plug(link: string, side: number): Promise<void> {
    await this.#inSwitch('link', 'set', link, 'master', `bridge${side}`)
    await this.#inSwitch('link', 'set', link, 'up')
  }

  #sideOf(ip: string): number {
    return this.ips.indexOf(ip) < this.ips.length / 2 ? 0 : 1
  }

  #hostOf(ip: string): string {
    return nameOf(`host${this.ips.indexOf(ip) + 1}`)
  }

  #inSwitch(...args: string[]): Promise<string> {
    return command('ip', '-n', this.#switch, ...args)
  }

  #nft(ip: string, script: string): Promise<string> {
    return command('ip', 'netns', 'exec', this.#hostOf(ip), 'nft', script)
  }
}

/** Why there can be no namespaces here, found by making two hosts; or undefined. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'network namespaces are Linux only'
  if (process.getuid?.() !== 0) return 'it needs root'
  try {
    for (const program of ['ip', 'nft']) await command(program, '-V')
    const namespaces = await Namespaces.create(2)
    try {
      await namespaces.losePackets(50)
      await namespaces.loseNoPackets()
    } finally {
      await namespaces.remove()
    }
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const nameOf = (part: string): string => `${prefix}-${process.pid}-${part}`

/** What a campaign left that was killed before it could clean up. */
async function removeOfDead(): Promise<void> {
  await removeNamespaces((name) => {
    const [, pid] = new RegExp(`^${prefix}-(\\d+)-`).exec(name) ?? []
    return pid !== undefined && !isAlive(Number(pid))
  })
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/**
 * The links of a namespace go with it. Tried again when it fails: a Ctrl-C reaches a program that is
 * just being started.
 */
async function removeNamespaces(
  isMeant: (name: string) => boolean,
  attempts = maxRemovals,
): Promise<void> {
  try {
    const listed = await command('ip', 'netns', 'list')
    const names = listed.split('\n').map((line) => line.split(' ')[0] ?? '')
    const removals = names.filter(isMeant).map((name) => command('ip', 'netns', 'delete', name))
    const failed = (await Promise.allSettled(removals)).find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
  } catch (error) {
    if (attempts <= 1) throw error
    await sleep(removalPauseMs)
    await removeNamespaces(isMeant, attempts - 1)
  }
}
