// An @ethereumjs/devp2p peer that a test drives by lines of JSON.
//
// It listens on a free port of 127.0.0.1, obeys one command per line of standard input, in order,
// and reports one event per line of standard output. The end of its input ends it. The commands
// and events are described in tests/interop/README.md; the Go program speaks the same.

import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { DPT, Peer, RLPx, genPrivateKey } from '@ethereumjs/devp2p'
import { keccak256 } from 'ethereum-cryptography/keccak.js'
import snappy from 'snappyjs'

const PONG_TIMEOUT_MS = 2000 // after this the library gives up a peer that does not answer a ping
const START_TIMEOUT_MS = 5000 // how long a send waits for its protocol to start
const FLUSH_MS = 300 // at the end, for the Disconnect messages to leave
const REFRESH_MS = 1000 // in this time each known node is asked for neighbors once

const { values: options } = parseArgs({
  options: {
    name: { type: 'string', default: 'interop-node' }, // told in the hello
    protocols: { type: 'string', default: 'foo/1/5' }, // comma-separated name/version/length
    'max-peers': { type: 'string', default: '50' },
    discovery: { type: 'boolean', default: false }, // run discovery v4, on a free UDP port
    bootnodes: { type: 'string', default: '' }, // comma-separated enode URLs to ask first
    dial: { type: 'boolean', default: false }, // dial the nodes that discovery finds
  },
})

const report = (event) => process.stdout.write(JSON.stringify(event) + '\n')
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const nodeId = (publicKey) => hex(keccak256(publicKey))

// What is done with the messages of each protocol: {name: 'report' | 'echo' | 'count', count}.
const modes = new Map()
// The running protocols of all peers, in the order they started.
const links = new Set()
// Functions to call when a protocol starts.
const waiters = new Set()

/**
 * One protocol running with one peer; the library makes one for each shared capability. Its own
 * base class is of no use here: it is not exported, and wants the status message of eth in 5 s.
 */
class Link {
  constructor(name, _version, peer, send) {
    this.name = name
    this.peer = peer
    this.send = send
    this.counted = 0
    this.inOrder = true
    links.add(this)
    for (const wake of waiters) wake()
  }

  get peerId() {
    return nodeId(this.peer.getId())
  }

  /** Called by the library with the decompressed payload of each message. */
  _handleMessage(code, payload) {
    const mode = modes.get(this.name)
    if (mode?.name === 'count') {
      this.inOrder &&= payload.length === 4 && Buffer.from(payload).readUInt32BE() === this.counted
      this.counted++
      if (this.counted === mode.count) {
        this.report('counted', { count: this.counted, in_order: this.inOrder })
      }
      return
    }
    const sha256 = createHash('sha256').update(payload).digest('hex')
    this.report('message', { code, size: payload.length, sha256 })
    if (mode?.name === 'echo') this.write(code, payload)
  }

  /** The library leaves the compression of messages to each protocol. */
  write(code, payload) {
    const compress = this.peer.getHelloMessage().protocolVersion >= 5
    this.send(code, compress ? snappy.compress(payload) : payload)
  }

  report(event, fields) {
    report({ event, peer: this.peerId, protocol: this.name, ...fields })
  }
}

/** Reads 'foo/1/5,bar/2/3'; nothing at all is a node without protocols. */
function parseProtocols(list) {
  return list
    .split(',')
    .filter((item) => item !== '')
    .map((item) => {
      const [name, version, length] = item.split('/')
      const constructor = class extends Link {
        constructor(...args) {
          super(name, ...args)
        }
      }
      return { name, version: Number(version), length: Number(length), constructor }
    })
}

// The library says nothing of a connection that ends before it is a peer, so its method for a
// closed socket is watched.
const onSocketClose = Peer.prototype._onSocketClose
Peer.prototype._onSocketClose = function () {
  if (!this._connected) reportEnd('setup_failed', this, this._disconnectReason, this._disconnectWe)
  onSocketClose.call(this)
}

function reportEnd(event, peer, reason, disconnectWe) {
  for (const link of links) if (link.peer === peer) links.delete(link)
  const id = peer.getId()
  report({
    event,
    error: reason === undefined ? 'connection closed' : `disconnected with reason ${reason}`,
    by_remote: reason !== undefined && disconnectWe === false,
    ...(reason !== undefined && { reason }),
    ...(id && { peer: nodeId(id) }),
  })
}

/** Reads an enode URL. */
function parseEnode(text) {
  const url = new URL(text)
  const tcpPort = Number(url.port)
  return {
    id: new Uint8Array(Buffer.from(url.username, 'hex')),
    address: url.hostname,
    tcpPort,
    udpPort: Number(url.searchParams.get('discport') ?? tcpPort),
  }
}

/** Writes one. A node that has not told its TCP port has 0 there. */
function enodeOf({ id, address, tcpPort, udpPort }) {
  const query = udpPort === undefined || udpPort === tcpPort ? '' : `?discport=${udpPort}`
  return `enode://${hex(id)}@${address}:${tcpPort ?? 0}${query}`
}

const described = (peer) => ({ peer: nodeId(peer.id), enode: enodeOf(peer) })

/** Starts discovery; the TCP port of `endpoint`, which its pings tell, may be set later. */
async function startDiscovery(privateKey, endpoint) {
  const socket = createSocket('udp4')
  const dpt = new DPT(privateKey, {
    endpoint,
    createSocket: () => socket,
    refreshInterval: REFRESH_MS,
  })
  dpt.events.on('peer:added', (peer) => report({ event: 'node_added', ...described(peer) }))
  dpt.events.on('peer:removed', (peer) => report({ event: 'node_removed', peer: nodeId(peer.id) }))
  dpt.events.on('error', (error) => report({ event: 'error', error: String(error) }))
  dpt.bind(0, endpoint.address)
  await once(socket, 'listening')
  endpoint.udpPort = socket.address().port
  return dpt
}

/** Starts to listen, and tells where. */
async function start() {
  const privateKey = genPrivateKey()
  const endpoint = { address: '127.0.0.1', udpPort: undefined, tcpPort: null }
  const dpt = options.discovery ? await startDiscovery(privateKey, endpoint) : null
  const server = createServer(privateKey, options.dial ? dpt : null)
  server.listen(0, endpoint.address)
  await once(server._server, 'listening')
  endpoint.tcpPort = server._server.address().port
  report({ event: 'listening', enode: enodeOf({ id: server.id, ...endpoint }) })
  const bootnodes = options.bootnodes.split(',').filter((item) => item !== '')
  for (const enode of bootnodes) dpt?.bootstrap(parseEnode(enode))
  return [server, dpt]
}

/** Notes whom it has dialed, which the library tells nobody. */
class Server extends RLPx {
  async connect(peer) {
    await super.connect(peer)
    dialed.add(hex(peer.id))
  }
}

function createServer(privateKey, dpt) {
  const server = new Server(privateKey, {
    clientId: Buffer.from(options.name),
    capabilities: parseProtocols(options.protocols),
    timeout: PONG_TIMEOUT_MS,
    maxPeers: Number(options['max-peers']),
    listenPort: null,
    dpt,
  })
  server.events.on('peer:added', (peer) => {
    const hello = peer.getHelloMessage()
    report({
      event: 'peer_added',
      peer: nodeId(peer.getId()),
      name: hello.clientId,
      caps: hello.capabilities.map((c) => `${c.name}/${c.version}`),
      inbound: !dialed.has(hex(peer.getId())),
    })
  })
  server.events.on('peer:removed', (peer, reason, disconnectWe) =>
    reportEnd('peer_dropped', peer, reason, disconnectWe),
  )
  server.events.on('peer:error', (peer, error) => report({ event: 'error', error: String(error) }))
  server.events.on('error', (error) => report({ event: 'error', error: String(error) }))
  return server
}

/** Finds the running protocol that a command names, or waits until it starts. */
function findLink({ peer, protocol }) {
  return new Promise((resolve, reject) => {
    const look = () => {
      for (const link of links) {
        if (link.name === protocol && (!peer || link.peerId === peer)) return finish(resolve, link)
      }
    }
    const finish = (settle, value) => {
      clearTimeout(timer)
      waiters.delete(look)
      settle(value)
    }
    const timeout = () => finish(reject, new Error('protocol is not running'))
    const timer = setTimeout(timeout, START_TIMEOUT_MS)
    waiters.add(look)
    look()
  })
}

/** The bytes that stand for a seed: SHAKE-128 of its decimal digits, which does not compress. */
function payloadOf(seed, size) {
  if (size === 0) return new Uint8Array()
  const hash = createHash('shake128', { outputLength: size })
  return new Uint8Array(hash.update(String(seed)).digest())
}

/** The payload of the nth numbered message: n as 4 bytes, big end first. */
function numbered(n) {
  const payload = new Uint8Array(4)
  new DataView(payload.buffer).setUint32(0, n)
  return payload
}

const commands = {
  async dial({ enode }) {
    const peer = parseEnode(enode)
    server.connect(peer).catch((error) =>
      report({
        event: 'setup_failed',
        peer: nodeId(peer.id),
        error: String(error),
        by_remote: false,
      }),
    )
  },

  async mode({ protocol, mode, count }) {
    if (!['report', 'echo', 'count'].includes(mode)) throw new Error('unknown mode')
    modes.set(protocol, { name: mode, count })
    report({ event: 'mode_set', protocol, mode })
  },

  async send(command) {
    const link = await findLink(command)
    link.write(command.code ?? 0, payloadOf(command.seed ?? 0, command.size ?? 0))
    link.report('sent', { code: command.code ?? 0, count: 1 })
  },

  async send_numbered(command) {
    const link = await findLink(command)
    for (let n = 0; n < command.count; n++) link.write(command.code ?? 0, numbered(n))
    link.report('sent', { code: command.code ?? 0, count: command.count })
  },

  async disconnect({ peer, reason }) {
    const found = server.getPeers().find((p) => !peer || nodeId(p.getId()) === peer)
    if (!found) throw new Error('no such peer')
    found.disconnect(reason ?? 0)
  },

  /** Pings a node that is not in the table; of one that is there, the library knows it alive. */
  async ping({ enode }) {
    report({ event: 'pong', peer: nodeId((await discovery().addPeer(parseEnode(enode))).id) })
  },

  async table() {
    report({ event: 'table', nodes: discovery().getPeers().map(described) })
  },
}

function discovery() {
  if (!dpt) throw new Error('started without --discovery')
  return dpt
}

const dialed = new Set() // hex of the public keys of those we connected to
const [server, dpt] = await start()

for await (const line of createInterface({ input: process.stdin })) {
  let cmd
  try {
    const command = JSON.parse(line)
    cmd = command.cmd
    if (cmd === 'quit') break
    if (!Object.hasOwn(commands, cmd)) throw new Error('unknown command')
    await commands[cmd](command)
  } catch (error) {
    report({ event: 'error', cmd, error: error.message })
  }
}
const flush = server.getPeers().length > 0 ? FLUSH_MS : 0
server.destroy()
dpt?.destroy()
report({ event: 'done' })
setTimeout(() => process.exit(0), flush)
