// Round trip with KafkaJS: once two members of a group share the topic, produce and print what came.
//
// Usage: node kafkajs.js <bootstrap> <topic> <partitions> <group> <codec> <records>
"use strict";

const { CompressionTypes, Kafka, logLevel } = require("kafkajs");

const [bootstrap, topic, partitions, group, codec, records] = process.argv.slice(2);
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP };
const deadline = setTimeout(() => {
  console.error("the round trip took longer than a minute");
  process.exit(1);
}, 60_000);

const kafka = new Kafka({ clientId: "conformance", brokers: [bootstrap], logLevel: logLevel.NOTHING });

async function produce() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const messages = Array.from({ length: Number(records) }, (_, n) => ({
    key: `key ${n}`,
    value: `value ${n}`,
    headers: { codec },
    timestamp: `${1700000000000 + n}`,
  }));
  await producer.send({ topic, compression: codecs[codec], acks: -1, messages });
  await producer.disconnect();
}

function join(number, owned, onShared, onRecord) {
  const consumer = kafka.consumer({ groupId: group, heartbeatInterval: 200, maxWaitTimeInMs: 500 });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    owned[number] = (payload.memberAssignment[topic] || []).length;
    onShared();
  });
  return {
    consumer,
    run: async () => {
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({
        autoCommitThreshold: 1,
        eachMessage: async ({ partition, message }) => {
          onRecord({
            member: number,
            partition,
            offset: Number(message.offset),
            key: message.key.toString(),
            value: message.value.toString(),
            header: message.headers.codec.toString(),
            timestamp_ms: Number(message.timestamp),
          });
        },
      });
    },
  };
}

async function main() {
  const owned = [0, 0];
  const all = [];
  let shared, finished;
  const isShared = new Promise((resolve) => (shared = resolve));
  const isFinished = new Promise((resolve) => (finished = resolve));
  const onShared = () => {
    if (owned[0] && owned[1] && owned[0] + owned[1] === Number(partitions)) shared();
  };
  const onRecord = (record) => {
    all.push(record);
    if (all.length === Number(records)) finished();
  };
  const members = [0, 1].map((number) => join(number, owned, onShared, onRecord));
  await Promise.all(members.map((member) => member.run()));
  await isShared;
  await produce();
  await isFinished;
  await Promise.all(members.map((member) => member.consumer.disconnect()));
  clearTimeout(deadline);
  console.log(JSON.stringify(all));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
