// kafkajs against the server: topics, every codec, a group of three, offsets, configs.
'use strict'
const { Kafka, logLevel, CompressionTypes, CompressionCodecs, ConfigResourceTypes } = require('kafkajs')
const SnappyCodec = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const { ZstdCodec } = require('zstd-codec')

const PARTITIONS = 6
const RUN = 'kafkajs-' + require('crypto').randomBytes(4).toString('hex')
const kafka = new Kafka({
  clientId: 'clients',
  brokers: [process.env.BOOTSTRAP],
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, retries: 12 },
})
let failed = false

async function check(sentence, work) {
  const start = Date.now()
  let timer
  try {
    const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error('not within 90 s')), 90000) })
    await Promise.race([work(), late])
    console.log(`ok   ${sentence} (${((Date.now() - start) / 1000).toFixed(1)} s)`)
  } catch (error) {
    failed = true
    console.log(`FAIL ${sentence}: ${String(error && error.message).replace(/\s+/g, ' ')}`)
  } finally {
    clearTimeout(timer)
  }
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

async function until(what, seconds, ready) {
  const end = Date.now() + seconds * 1000
  while (Date.now() < end) {
    if (await ready()) return
    await sleep(50)
  }
  throw new Error(`${what}: not within ${seconds} s`)
}

function same(found, wanted, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${what}: ${a.slice(0, 300)} instead of ${b.slice(0, 300)}`)
}

// gzip is built in; the others are the client's documented way to add a codec.
function addCodecs() {
  CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async (encoder) => lz4.compressFrame(encoder.buffer),
    decompress: async (buffer) => lz4.decompressFrame(buffer),
  })
  return new Promise((done) => ZstdCodec.run((zstd) => {
    const simple = new zstd.Simple()
    CompressionCodecs[CompressionTypes.ZSTD] = () => ({
      compress: async (encoder) => Buffer.from(simple.compress(encoder.buffer)),
      decompress: async (buffer) => Buffer.from(simple.decompress(buffer)),
    })
    done()
  }))
}

async function withAdmin(work) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

const create = (topic, numPartitions, configEntries = []) => withAdmin((admin) =>
  admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] }))

const describes = () => withAdmin(async (admin) => {
  const topic = `${RUN}-plain`
  await create(topic, 3, [{ name: 'retention.ms', value: '3600000' }])
  if (!(await admin.listTopics()).includes(topic)) throw new Error('the topic is not listed')
  const found = await admin.fetchTopicMetadata({ topics: [topic] })
  same(found.topics[0].partitions.length, 3, 'partitions')
  const configs = await admin.describeConfigs({
    includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
  })
  const values = Object.fromEntries(configs.resources[0].configEntries.map((c) => [c.configName, c.configValue]))
  same(values['retention.ms'], '3600000', 'retention.ms')
  same(values['cleanup.policy'], 'delete', 'cleanup.policy')
  const cluster = await admin.describeCluster()
  if (!cluster.clusterId || cluster.brokers.length < 1) throw new Error(`cluster ${JSON.stringify(cluster)}`)
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  await until('five partitions', 10, async () =>
    (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 5)
  await admin.deleteTopics({ topics: [topic] })
  await until('the topic is gone', 10, async () => !(await admin.listTopics()).includes(topic))
})

function records(count) {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  return Array.from({ length: count }, (_, i) => ({
    partition: 0,
    key: [null, Buffer.alloc(0), Buffer.from(`key-${i}`)][i % 3],
    value: [Buffer.concat([all, all, all]), Buffer.from(`value-${i}`), Buffer.alloc(0), Buffer.from('größe €'), null][i % 5],
    headers: [{}, { h: Buffer.from([0, 255]), other: Buffer.from('x') }, { empty: Buffer.alloc(0) }][i % 3],
  }))
}

const hex = (bytes) => (bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('hex'))
const shown = (r) => [hex(r.key), hex(r.value), Object.entries(r.headers || {}).map(([name, value]) => [name, hex(value)])]

async function send(topic, messages, compression = CompressionTypes.None) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  await producer.send({ topic, messages, compression, acks: -1 })
  await producer.disconnect()
}

// kafkajs reads only in groups: one of its own, from the beginning or from `first`.
async function read(topic, count, first) {
  const consumer = kafka.consumer({ groupId: `${topic}-reader-${first || 0}`, maxWaitTimeInMs: 100 })
  const found = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { found.push(message) } })
  if (first) consumer.seek({ topic, partition: 0, offset: String(first) })
  await until(`${count} records of ${topic}`, 30, () => found.length >= count)
  await consumer.disconnect()
  return found
}

async function codecRound(name, type) {
  const topic = `${RUN}-${name}`
  await create(topic, 1)
  const sent = records(200)
  await send(topic, sent, type)
  const found = await read(topic, sent.length)
  same(found.map((r) => r.offset), sent.map((_, i) => String(i)), 'offsets')
  found.forEach((r, i) => same(shown(r), shown(sent[i]), `record ${i}`))
}

async function middle() {
  const found = (await read(`${RUN}-none`, 50, 150)).filter((r) => Number(r.offset) >= 150)
  same(found.map((r) => r.offset).slice(0, 2), ['150', '151'], 'offsets')
}

// One member of a group; commits what it has handled before a rebalance and when it leaves.
async function join(groupId, topic) {
  const member = { seen: [], owned: [], error: null }
  member.consumer = kafka.consumer({
    groupId, sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 10000, maxWaitTimeInMs: 100,
  })
  const { GROUP_JOIN, REBALANCING, CRASH } = member.consumer.events
  member.consumer.on(GROUP_JOIN, ({ payload }) => { member.owned = payload.memberAssignment[topic] || [] })
  member.consumer.on(REBALANCING, () => { member.owned = [] })
  member.consumer.on(CRASH, ({ payload }) => { if (!payload.restart) member.error = payload.error })
  await member.consumer.connect()
  await member.consumer.subscribe({ topic, fromBeginning: true })
  await member.consumer.run({
    autoCommitInterval: 200,
    eachMessage: async ({ message }) => { member.seen.push(message.value.toString()) },
  })
  member.leave = () => { member.owned = []; return member.consumer.disconnect() }
  return member
}

const covered = (...members) => {
  for (const member of members) if (member.error) throw member.error
  const owned = members.flatMap((m) => m.owned).sort((a, b) => a - b)
  return members.every((m) => m.owned.length > 0) && JSON.stringify(owned) === JSON.stringify([...Array(PARTITIONS).keys()])
}
const seenAll = (sent, ...members) => {
  const seen = new Set(members.flatMap((m) => m.seen))
  return sent.every((value) => seen.has(value))
}

async function groupStory() {
  const [topic, group] = [`${RUN}-shared`, `${RUN}-group`]
  await create(topic, PARTITIONS)
  const sent = []
  const produce = async (count) => {
    const messages = Array.from({ length: count }, (_, i) => ({ partition: i % PARTITIONS, value: String(sent.length + i) }))
    await send(topic, messages)
    sent.push(...messages.map((m) => m.value))
  }
  const [first, second] = await Promise.all([join(group, topic), join(group, topic)])
  await until('two members own all partitions', 40, () => covered(first, second))
  await produce(300)
  const third = await join(group, topic)
  await until('three members own all partitions', 40, () => covered(first, second, third))
  await produce(300)
  await withAdmin(async (admin) => {
    await until('the group is stable', 20, async () => {
      const [found] = (await admin.describeGroups([group])).groups
      return found.state === 'Stable' && found.members.length === 3
    })
    if (!(await admin.listGroups()).groups.some((g) => g.groupId === group)) throw new Error('the group is not listed')
  })
  await until('everything is read', 30, () => seenAll(sent, first, second, third))
  await second.leave()
  await until('the other two own all partitions', 40, () => covered(first, third))
  await produce(300)
  await until('nothing is lost', 30, () => seenAll(sent, first, second, third))
  await Promise.all([first.leave(), third.leave()])
  await resumes(group, topic, sent, produce)
}

async function resumes(group, topic, sent, produce) {
  const [offsets] = await withAdmin((admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }))
  same(offsets.partitions.reduce((sum, p) => sum + Number(p.offset), 0), sent.length, 'sum of committed offsets')
  const before = sent.length
  await produce(60)
  const late = await join(group, topic)
  await until('the late member reads what came since', 40, () => late.seen.length >= 60)
  await late.leave()
  same(late.seen.map(Number).sort((a, b) => a - b), sent.slice(before).map(Number), 'what the late member read')
  await withAdmin((admin) => admin.deleteGroups([group]))
}

async function main() {
  await addCodecs()
  await check('creates, lists, describes, grows and deletes a topic', describes)
  const types = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }
  for (const [name, type] of Object.entries(types)) {
    await check(`produces with ${name} and reads back every byte of key, value and headers`,
      () => codecRound(name, CompressionTypes[type]))
  }
  await check('reads from the middle of a partition', middle)
  await check('three members share a group while one joins and one leaves: nothing lost, all partitions covered, '
    + 'and a later member resumes at the committed offsets', groupStory)
  process.exit(failed ? 1 : 0)
}

main()
