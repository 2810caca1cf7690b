// Round trip with sarama: once two members of a group share the topic, produce and print what came.
//
// Usage: sarama <bootstrap> <topic> <partitions> <group> <codec> <records>
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
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

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func settings(codec string) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V4_0_0_0
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Return.Successes = true
	config.Producer.Compression = codecs[codec]
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	return config
}

func produce(bootstrap, topic, codec string, records int) {
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, settings(codec))
	check(err)
	messages := make([]*sarama.ProducerMessage, records)
	for n := range messages {
		messages[n] = &sarama.ProducerMessage{
			Topic:     topic,
			Key:       sarama.StringEncoder(fmt.Sprintf("key %d", n)),
			Value:     sarama.StringEncoder(fmt.Sprintf("value %d", n)),
			Headers:   []sarama.RecordHeader{{Key: []byte("codec"), Value: []byte(codec)}},
			Timestamp: time.UnixMilli(1700000000000 + int64(n)),
		}
	}
	check(producer.SendMessages(messages))
	check(producer.Close())
}

// ownership is how many partitions a member has in a generation of the group.
type ownership struct {
	member     int
	partitions int
}

// member is what sarama calls when the group has shared the partitions out, and for each partition it owns.
type member struct {
	number int
	owned  chan<- ownership
	taken  chan<- received
}

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	total := 0
	for _, partitions := range session.Claims() {
		total += len(partitions)
	}
	select {
	case m.owned <- ownership{m.number, total}:
	case <-session.Context().Done():
	}
	return nil
}

func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.taken <- received{m.number, message.Partition, message.Offset, string(message.Key),
				string(message.Value), string(message.Headers[0].Value), message.Timestamp.UnixMilli()}
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
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
	owned, taken := make(chan ownership), make(chan received)
	var members sync.WaitGroup
	for number := range 2 {
		consumers, err := sarama.NewConsumerGroup([]string{bootstrap}, group, settings(codec))
		check(err)
		members.Add(1)
		go func() {
			defer members.Done()
			for ctx.Err() == nil {
				check(consumers.Consume(ctx, []string{topic}, member{number, owned, taken}))
			}
			check(consumers.Close())
		}()
	}
	holds := [2]int{}
	for holds[0] == 0 || holds[1] == 0 || holds[0]+holds[1] != partitions {
		select {
		case each := <-owned:
			holds[each.member] = each.partitions
		case <-ctx.Done():
			check(fmt.Errorf("the members own %v of %d partitions after a minute", holds, partitions))
		}
	}
	produce(bootstrap, topic, codec, records)
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
	cancel()
	members.Wait()
	check(json.NewEncoder(os.Stdout).Encode(all))
}
