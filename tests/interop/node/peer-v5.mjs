// A @chainsafe/discv5 node that a test drives by lines of JSON.
//
// It runs discovery v5 on a free UDP port of 127.0.0.1, obeys one command per line of standard
// input, in order, and reports one event per line of standard output. The end of its input ends
// it. The commands and events are described in tests/interop/README.md; the Go program speaks the
// same.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { Discv5 } from '@chainsafe/discv5'
import { ENR, SignableENR } from '@chainsafe/enr'
import { generateKeyPair, privateKeyFromRaw } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { keccak256 } from 'ethereum-cryptography/keccak.js'

const HOST = '127.0.0.1'
// The library searches only when it is told to. With bootnodes it is told this often.
const LOOKUP_MS = 1000

const { values: options } = parseArgs({
  options: {
    key: { type: 'string', default: '' }, // 64 hex digits of the private key; a new one without
    'discovery-addr': { type: 'string', default: `${HOST}:0` },
    bootnodes: { type: 'string', default: '' }, // comma-separated records
  },
})

const report = (event) => process.stdout.write(JSON.stringify(event) + '\n')
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const bytes = (digits) => new Uint8Array(Buffer.from(digits, 'hex'))
const described = (enr) => ({
  peer: enr.nodeId,
  seq: Number(enr.seq),
  record: enr.encodeTxt(),
})
const found = (enrs) => report({ event: 'found', nodes: enrs.map((enr) => enr.nodeId) })

/** The port to bind: the library cannot tell which one it was given for 0. */
async function freePort() {
  const socket = createSocket('udp4')
  socket.bind(0, HOST)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

async function start() {
  const given = options.key
  const privateKey = given ? privateKeyFromRaw(bytes(given)) : await generateKeyPair('secp256k1')
  const port = Number(options['discovery-addr'].split(':')[1]) || (await freePort())
  const enr = SignableENR.createFromPrivateKey(privateKey)
  enr.ip = HOST
  enr.udp = port
  enr.tcp = port
  const bindAddrs = { ip4: multiaddr(`/ip4/${HOST}/udp/${port}`) }
  const node = Discv5.create({ enr, privateKey, bindAddrs })
  node.on('enrAdded', (added) => report({ event: 'node_added', ...described(added) }))
  node.on('talkReqReceived', (address, _enr, message) => answerTalk(node, address, message))
  await node.start()
  report({ event: 'listening', ...described(enr) })
  const bootnodes = options.bootnodes.split(',').filter((text) => text !== '')
  for (const text of bootnodes) node.addEnr(text)
  if (bootnodes.length > 0) {
    node.findRandomNode()
    setInterval(() => node.findRandomNode(), LOOKUP_MS).unref()
  }
  return node
}

/** Reports a request, and answers it with its bytes reversed; an unknown protocol with nothing. */
function answerTalk(node, address, message) {
  const protocol = Buffer.from(message.protocol).toString()
  const known = answering.has(protocol)
  if (known) {
    report({
      event: 'talk_request',
      peer: address.nodeId,
      protocol,
      request: hex(message.request),
    })
  }
  const response = known ? new Uint8Array(message.request).reverse() : new Uint8Array()
  node.sendTalkResp(address, message.id, response)
}

const commands = {
  async ping({ enode }) {
    const enr = ENR.decodeTxt(enode)
    const pong = await node.sendPing(enr)
    report({ event: 'pong', peer: enr.nodeId, seq: Number(pong.enrSeq) })
  },

  async find_node({ enode, distances }) {
    found(await node.sendFindNode(ENR.decodeTxt(enode), distances))
  },

  async request_enr({ enode }) {
    const [enr] = await node.sendFindNode(ENR.decodeTxt(enode), [0])
    report({ event: 'record', ...described(enr) })
  },

  async lookup({ key }) {
    found(await node.findNode(hex(keccak256(bytes(key)))))
  },

  async talk({ enode, protocol, request }) {
    const enr = ENR.decodeTxt(enode)
    const response = await node.sendTalkReq(enr, bytes(request), protocol)
    report({ event: 'talked', peer: enr.nodeId, response: hex(response) })
  },

  async on_talk({ protocol }) {
    answering.add(protocol)
    report({ event: 'answering', protocol })
  },

  async add_nodes({ nodes }) {
    for (const text of nodes) node.addEnr(text)
    await commands.table()
  },

  async table() {
    report({ event: 'table', nodes: node.kadValues().map(described) })
  },

  async set_entry({ key, value }) {
    node.enr.set(key, new Uint8Array(Buffer.from(value)))
    await commands.self()
  },

  async self() {
    report({ event: 'self', ...described(node.enr) })
  },
}

const answering = new Set() // protocols of talk requests
const node = await start()

for await (const line of createInterface({ input: process.stdin })) {
  let cmd
  try {
    const command = JSON.parse(line)
    cmd = command.cmd
    if (cmd === 'quit') break
    if (!Object.hasOwn(commands, cmd)) throw new Error('unknown command')
    await commands[cmd](command)
  } catch (error) {
    report({ event: 'error', cmd, error: String(error?.message ?? error) })
  }
}
await node.stop()
report({ event: 'done' })
process.exit(0)
