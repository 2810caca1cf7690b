// Moves numbers from one topic to another, doubled, with KafkaJS in transactions that carry the group's offsets.
//
// Every third transaction is aborted and done again. Ends when so many records were moved for good.
//
// Usage: node kafkajs-transactions.js <bootstrap> <input> <output> <group> <transactional id> <records>
"use strict";

const { Kafka, logLevel } = require("kafkajs");

const [bootstrap, input, output, group, transactionalId, records] = process.argv.slice(2);
const deadline = setTimeout(() => {
  console.error("the records were not moved within a minute");
  process.exit(1);
}, 60_000);

const kafka = new Kafka({ clientId: "conformance", brokers: [bootstrap], logLevel: logLevel.NOTHING });

let transactions = 0;
let left = Number(records);

async function move(producer, partition, batch) {
  const transaction = await producer.transaction();
  const messages = batch.map(({ key, value }) => ({ key, value: `${2 * Number(value.toString())}` }));
  await transaction.send({ topic: output, messages });
  const offset = `${BigInt(batch[batch.length - 1].offset) + 1n}`;
  await transaction.sendOffsets({
    consumerGroupId: group,
    topics: [{ topic: input, partitions: [{ partition, offset }] }],
  });
  transactions += 1;
  if (transactions % 3 === 0) {
    await transaction.abort();
    return false;
  }
  await transaction.commit();
  left -= batch.length;
  return true;
}

async function main() {
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const consumer = kafka.consumer({ groupId: group, heartbeatInterval: 200, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic: input, fromBeginning: true });
  const finished = new Promise((resolve) => {
    consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 1,
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset }) => {
        for (let at = 0; at < batch.messages.length; at += 7) {
          const part = batch.messages.slice(at, at + 7);
          while (!(await move(producer, batch.partition, part))) {
            // An aborted transaction is done again at once: its messages are still at hand.
          }
          resolveOffset(part[part.length - 1].offset);
        }
        if (left === 0) {
          resolve();
        }
      },
    });
  });
  await finished;
  await consumer.disconnect();
  await producer.disconnect();
  clearTimeout(deadline);
  console.log(records);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
