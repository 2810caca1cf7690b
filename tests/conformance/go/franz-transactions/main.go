// Moves numbers from one topic to another, doubled, with franz-go in transactions that carry the group's offsets.
//
// Every third transaction is aborted and done again. Ends when so many records were moved for good.
//
// Usage: franz-transactions <bootstrap> <input> <output> <group> <transactional id> <records>
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const recordsATransaction = 7

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func doubled(record *kgo.Record, output string) *kgo.Record {
	number, err := strconv.Atoi(string(record.Value))
	check(err)
	return &kgo.Record{Topic: output, Key: record.Key, Value: []byte(strconv.Itoa(2 * number))}
}

func main() {
	bootstrap, input, output, group, id := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	records, err := strconv.Atoi(os.Args[6])
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(bootstrap),
		kgo.TransactionalID(id),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(input),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	check(err)
	defer session.Close()
	moved := 0
	for transaction := 1; moved < records; transaction++ {
		fetched := session.PollRecords(ctx, recordsATransaction)
		check(fetched.Err())
		check(session.Begin())
		batch := fetched.Records()
		for _, record := range batch {
			session.Produce(ctx, doubled(record, output), func(_ *kgo.Record, err error) { check(err) })
		}
		// What is aborted shall have been sent.
		check(session.Client().Flush(ctx))
		committed, err := session.End(ctx, kgo.TransactionEndTry(transaction%3 != 0))
		check(err)
		if committed {
			moved += len(batch)
		}
	}
	fmt.Println(moved)
}
