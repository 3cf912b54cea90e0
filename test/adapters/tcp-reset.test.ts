import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { tcpTransport } from 'holdfast/tcp'

const listening = `require('node:net').createServer().listen(0, '127.0.0.1', function () {
  console.log(this.address().port)
})`

/** Kills, and waits until all that the process had open is closed: it is a zombie then. */
const killNow = `kill -9 $1; while [ "$(cut -d' ' -f3 /proc/$1/stat)" != Z ]; do :; done`

afterEach(() => vi.restoreAllMocks())

test.skipIf(process.platform !== 'linux')(
  'a dial whose other end dies between the connection and its news rejects, and nothing else comes of it',
  async () => {
    const child = spawn(process.execPath, ['-e', listening], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'close')
    const [port] = (await once(child.stdout, 'data')) as [Buffer]
    // What it has not accepted when it dies is reset, and not ended in order.
    child.kill('SIGSTOP')
    const sockets: Socket[] = []
    vi.spyOn(Socket.prototype, 'connect').mockImplementationOnce(function (this: Socket, to) {
      sockets.push(this)
      this.prependListener('connect', () => {
        execFileSync('sh', ['-c', killNow, 'sh', String(child.pid)])
      })
      return this.connect(to)
    })
    const address = { host: '127.0.0.1', port: Number(port) }
    const dial = tcpTransport().dial(address, { signal: new AbortController().signal })
    await expect(dial).rejects.toHaveProperty('code', 'ECONNRESET')
    await ended
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true])
  },
)
