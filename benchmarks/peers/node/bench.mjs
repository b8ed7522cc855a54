// Plays one process of a workload with @ethereumjs/devp2p, as benchmarks/node.py does with ours:
// the same roles, the same lines of JSON, the same conversation between peers.
//
//   bench.mjs listen       waits for peers and does what they ask for
//   bench.mjs dial URL     connects to a listener, and sends to it
//   bench.mjs shake URL    nodes that connect and disconnect
//   bench.mjs discover     a node of discovery v4
//
// It says in a line of standard output that it is ready, then answers each line of its standard
// input with one, and ends with its input. What fails ends it with a text on standard error.

import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'

import { DPT, Peer, RLPx, genPrivateKey } from '@ethereumjs/devp2p'
import { RLP } from '@ethereumjs/rlp'
import snappy from 'snappyjs'

const BEGIN = 0
const READY = 1
const DATA = 2
const DONE = 3
const LENGTH = 4
const MAX_PEERS = 1100
const MAX_LANES = 8
const NODES_OF_A_LANE = 2
const PAGE_BYTES = 4096
const HOST = '127.0.0.1'
const EMPTY = RLP.encode([])
const ALREADY_CONNECTED = 5
const TIMEOUT_MS = 30_000

const now = () => performance.now() / 1000

const turnsOf = (size) => (size < 1024 ? 1024 : 16)

/** The payloads to be sent in turn, each with its number in front. */
function payloads(size) {
  const rest = randomBytes(size - 8)
  return Array.from({ length: turnsOf(size) }, (_, i) => {
    const number = Buffer.alloc(8)
    number.writeUInt32BE(i, 4)
    return new Uint8Array(Buffer.concat([number, rest]))
  })
}

/** One connection's protocol "bench", which the library makes and hands the messages to. */
class Link {
  constructor(_version, peer, send) {
    this.peer = peer
    this.send = send
    this.socket = peer._socket
    // The library writes header and body of a frame one after the other: without this, the second
    // waits for the first to be acknowledged, 40 ms.
    this.socket.setNoDelay()
  }

  /** The library leaves the compression of messages to each protocol. */
  write(code, payload) {
    this.send(code, snappy.compress(payload))
  }

  _handleMessage(code, payload) {
    this.receive(code, payload)
  }
}

/** The end that listens. */
class Serving extends Link {
  job = null

  receive(code, payload) {
    if (this.job === null) return this.begin(payload)
    if (code !== DATA) fail(`message code ${code} instead of data`)
    const { echo, turns, size } = this.job
    if (echo) {
      this.write(DATA, payload)
    } else {
      const number = new DataView(payload.buffer, payload.byteOffset).getUint32(4)
      if (number !== this.job.at % turns || payload.length !== size) {
        fail(`got message ${number} instead of ${this.job.at % turns}`)
      }
    }
    this.job.at++
    if (this.job.at === this.job.count) this.end()
  }

  begin(payload) {
    const [job, count, size] = RLP.decode(payload)
    const number = (bytes) => parseInt(Buffer.from(bytes).toString('hex') || '0', 16)
    this.job = {
      echo: Buffer.from(job).toString() === 'echo',
      count: number(count),
      size: number(size),
      turns: turnsOf(number(size)),
      at: 0,
    }
    this.write(READY, EMPTY)
    if (this.job.count === 0) this.end()
  }

  end() {
    this.job = null
    this.write(DONE, EMPTY)
  }
}

/** The end that dials: what comes is waited for, or waits. */
class Asking extends Link {
  came = []
  wake = null

  receive(code, payload) {
    this.came.push([code, payload])
    this.wake?.()
  }

  async expect(code) {
    while (this.came.length === 0) await new Promise((resolve) => (this.wake = resolve))
    const [got, payload] = this.came.shift()
    if (got !== code) fail(`message code ${got} instead of ${code}`)
    return payload
  }

  async begin(job, count, size) {
    this.write(BEGIN, RLP.encode([job, count, size, 0]))
    await this.expect(READY)
  }
}

/** A node with one protocol. `constructor` makes its links. */
function createNode(constructor) {
  const node = new RLPx(genPrivateKey(), {
    clientId: Buffer.from('bench'),
    capabilities: [{ name: 'bench', version: 1, length: LENGTH, constructor }],
    maxPeers: MAX_PEERS,
    listenPort: null,
  })
  node.events.on('error', (error) => fail(error))
  return node
}

/** Reads an enode URL. */
function parseNode(text) {
  const url = new URL(text)
  const port = Number(url.port)
  const id = new Uint8Array(Buffer.from(url.username, 'hex'))
  return { id, address: url.hostname, tcpPort: port, udpPort: port }
}

const nodeName = (id) => Buffer.from(id).toString('hex')
const enodeOf = (id, port) => `enode://${nodeName(id)}@${HOST}:${port}`

const roles = {
  async listen() {
    const node = createNode(Serving)
    let arrivals = 0
    const arrived = new EventEmitter()
    node.events.on('peer:added', () => {
      arrivals++
      arrived.emit('one')
    })
    node.listen(0, HOST)
    await once(node._server, 'listening')
    return {
      greeting: { url: enodeOf(node.id, node._server.address().port) },
      async await_arrivals({ count }) {
        while (arrivals < count) await once(arrived, 'one', { signal: AbortSignal.timeout(TIMEOUT_MS) })
        return { arrivals }
      },
    }
  },

  async dial(url) {
    const links = new EventEmitter()
    const node = createNode(
      class extends Asking {
        constructor(...args) {
          super(...args)
          // Its peer is not there yet for others when the library makes it.
          setImmediate(() => links.emit('link', this))
        }
      },
    )
    const found = once(links, 'link')
    await node.connect(parseNode(url))
    const [link] = await found
    return {
      greeting: {},
      send: ({ count, size }) => send(link, count, size),
      ping_pong: ({ count, size }) => pingPong(link, count, size),
    }
  },

  async shake(url) {
    const to = parseNode(url)
    const lanes = Array.from({ length: MAX_LANES }, () =>
      Array.from({ length: NODES_OF_A_LANE }, () => createNode(Link)),
    )
    return {
      greeting: {},
      async shake({ count, lanes: wanted }) {
        const each = Math.floor(count / wanted)
        const start = now()
        const refusals = await Promise.all(
          lanes.slice(0, wanted).map((nodes) => shakeLane(nodes, to, each)),
        )
        const sum = refusals.reduce((a, b) => a + b, 0)
        return { seconds: now() - start, count: each * wanted, refusals: sum }
      },
    }
  },

  async discover() {
    const privateKey = genPrivateKey()
    const socket = createSocket('udp4')
    const endpoint = { address: HOST, udpPort: undefined, tcpPort: null }
    const dpt = new DPT(privateKey, { endpoint, createSocket: () => socket })
    dpt.events.on('error', () => {})
    dpt.bind(0, HOST)
    await once(socket, 'listening')
    endpoint.udpPort = socket.address().port
    return { greeting: { url: enodeOf(dpt.id, endpoint.udpPort) } }
  },
}

/** Sends one way, until the listener says that all has come. */
async function send(link, count, size) {
  const texts = payloads(size)
  await link.begin('send', count, size)
  const start = now()
  for (let i = 0; i < count; i++) {
    link.write(DATA, texts[i % texts.length])
    if (link.socket.writableNeedDrain) await once(link.socket, 'drain')
  }
  await link.expect(DONE)
  return { seconds: now() - start }
}

/** Sends messages to and fro. */
async function pingPong(link, count, size) {
  const texts = payloads(size)
  const times = []
  await link.begin('echo', count, size)
  for (let i = 0; i < count; i++) {
    const start = now()
    link.write(DATA, texts[i % texts.length])
    const answer = await link.expect(DATA)
    times.push(now() - start)
    if (!Buffer.from(answer.buffer, answer.byteOffset, size).equals(texts[i % texts.length])) {
      fail(`the echo of message ${i} differs`)
    }
  }
  await link.expect(DONE)
  const seconds = times.reduce((a, b) => a + b, 0)
  times.sort((a, b) => a - b)
  return {
    seconds,
    p50_s: times[Math.floor(count / 2)],
    p99_s: times[Math.floor(count * 0.99)],
  }
}

// The library tells nobody of a connection that ends before it is a peer, so its method for a
// closed socket is watched. The events have the names of the nodes whose connections they were.
const ends = new EventEmitter()
const onSocketClose = Peer.prototype._onSocketClose
Peer.prototype._onSocketClose = function () {
  onSocketClose.call(this)
  ends.emit(nodeName(this.id), this)
}

/** Connects and disconnects, each time until the peer has gone; its nodes take turns. */
async function shakeLane(nodes, to, count) {
  let refusals = 0
  for (let turn = 0; count > 0; turn++) {
    const node = nodes[turn % nodes.length]
    const ended = once(ends, nodeName(node.id), { signal: AbortSignal.timeout(TIMEOUT_MS) })
    node.events.once('peer:added', leave)
    await node.connect(to)
    const [peer] = await ended
    node.events.removeListener('peer:added', leave)
    const reason = peer._disconnectReason
    if (peer._connected && peer._disconnectWe) {
      count--
    } else if (reason === ALREADY_CONNECTED) {
      refusals++ // its end of the connection before has not gone yet: not counted
    } else {
      fail(`disconnected with reason ${reason}`)
    }
  }
  return refusals
}

/** The library itself would end the connection 2 s later. */
function leave(peer) {
  peer.disconnect()
  peer._socket.end()
}

/** What each role knows besides its own orders. */
const common = {
  cpu() {
    const { user, system } = process.cpuUsage()
    return { cpu_s: (user + system) / 1e6 }
  },

  memory() {
    const before = residentBytes()
    globalThis.gc?.()
    return { uncollected_bytes: before, rss_bytes: residentBytes() }
  },
}

function residentBytes() {
  return Number(readFileSync('/proc/self/statm', 'ascii').split(' ')[1]) * PAGE_BYTES
}

function fail(error) {
  process.stderr.write(`bench.mjs: ${error.stack ?? error}\n`)
  process.exit(1)
}

async function main(role, ...args) {
  if (!Object.hasOwn(roles, role)) fail('usage: bench.mjs listen|discover, or dial|shake URL')
  const player = { ...common, ...(await roles[role](...args)) }
  const tell = (answer) => process.stdout.write(JSON.stringify(answer) + '\n')
  tell(player.greeting)
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line)
    if (!Object.hasOwn(player, order.do)) fail(`unknown order ${order.do}`)
    tell(await player[order.do](order))
  }
  process.exit(0)
}

process.on('unhandledRejection', fail)
main(...process.argv.slice(2)).catch(fail)
