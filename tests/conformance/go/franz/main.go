// Round trip with franz-go: once two members of a group share the topic, produce and print what came.
//
// Usage: franz <bootstrap> <topic> <partitions> <group> <codec> <records> [consumer, for a group of KIP-848]
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type received struct {
	Member    int    `json:"member"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key"`
	Value     string `json:"value"`
	Header    string `json:"header"`
	Timestamp int64  `json:"timestamp_ms"`
}

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func produce(ctx context.Context, bootstrap, topic, codec string, records int) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ProducerBatchCompression(codecs[codec]),
		kgo.ProducerLinger(20*time.Millisecond),
	)
	check(err)
	defer client.Close()
	batch := make([]*kgo.Record, records)
	for n := range batch {
		batch[n] = &kgo.Record{
			Topic:     topic,
			Key:       []byte(fmt.Sprintf("key %d", n)),
			Value:     []byte(fmt.Sprintf("value %d", n)),
			Headers:   []kgo.RecordHeader{{Key: "codec", Value: []byte(codec)}},
			Timestamp: time.UnixMilli(1700000000000 + int64(n)),
		}
	}
	check(client.ProduceSync(ctx, batch...).FirstErr())
}

// ownership is how many partitions a member has just gained, or lost if negative.
type ownership struct {
	member int
	change int
}

func count(partitions map[string][]int32) int {
	total := 0
	for _, each := range partitions {
		total += len(each)
	}
	return total
}

// member polls until it is told that all is done, and commits what it has passed on.
func member(
	ctx context.Context, number int, bootstrap, topic, group string,
	owned chan<- ownership, taken chan<- received, done <-chan struct{},
) {
	report := func(change int) {
		select {
		case owned <- ownership{number, change}:
		case <-done:
		}
	}
	lost := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		report(-count(partitions))
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(200*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			report(count(partitions))
		}),
		kgo.OnPartitionsRevoked(lost),
		kgo.OnPartitionsLost(lost),
		kgo.DisableAutoCommit(),
	}
	if len(os.Args) > 7 {
		options = append(options, kgo.ServerSideBalancer())
	}
	client, err := kgo.NewClient(options...)
	check(err)
	defer client.Close()
	for {
		polled, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollFetches(polled)
		cancel()
		fetches.EachRecord(func(record *kgo.Record) {
			taken <- received{number, record.Partition, record.Offset, string(record.Key), string(record.Value),
				string(record.Headers[0].Value), record.Timestamp.UnixMilli()}
		})
		check(client.CommitRecords(ctx, fetches.Records()...))
		select {
		case <-done:
			return
		default:
		}
	}
}

func main() {
	bootstrap, topic, group, codec := os.Args[1], os.Args[2], os.Args[4], os.Args[5]
	partitions, err := strconv.Atoi(os.Args[3])
	check(err)
	records, err := strconv.Atoi(os.Args[6])
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	owned, taken, done := make(chan ownership), make(chan received), make(chan struct{})
	var members sync.WaitGroup
	for number := range 2 {
		members.Add(1)
		go func() {
			defer members.Done()
			member(ctx, number, bootstrap, topic, group, owned, taken, done)
		}()
	}
	holds := [2]int{}
	for holds[0] == 0 || holds[1] == 0 || holds[0]+holds[1] != partitions {
		select {
		case each := <-owned:
			holds[each.member] += each.change
		case <-ctx.Done():
			check(fmt.Errorf("the members own %v of %d partitions after a minute", holds, partitions))
		}
	}
	produce(ctx, bootstrap, topic, codec, records)
	all := []received{}
	for len(all) < records {
		select {
		case record := <-taken:
			all = append(all, record)
		case <-owned: // A rebalance while records come costs nothing: what came is committed.
		case <-ctx.Done():
			check(fmt.Errorf("%d of %d records came within a minute", len(all), records))
		}
	}
	close(done)
	members.Wait()
	check(json.NewEncoder(os.Stdout).Encode(all))
}
