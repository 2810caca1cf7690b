// Moves numbers from one topic to another, doubled, with sarama in transactions that carry the group's offsets.
//
// Every third transaction is aborted and done again. Ends when so many records were moved for good.
//
// Usage: sarama-transactions <bootstrap> <input> <output> <group> <transactional id> <records>
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// mover owns the one transactional producer, which the partitions of the group take turns with.
type mover struct {
	producer     sarama.AsyncProducer
	output       string
	group        string
	lock         sync.Mutex
	transactions int
	left         int
	done         context.CancelFunc
}

func (m *mover) Setup(sarama.ConsumerGroupSession) error { return nil }

func (m *mover) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *mover) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			// An aborted transaction is done again at once: the message is still at hand.
			for !m.move(message) {
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// move carries one message over in a transaction of its own; false if that was aborted.
func (m *mover) move(message *sarama.ConsumerMessage) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	number, err := strconv.Atoi(string(message.Value))
	check(err)
	check(m.producer.BeginTxn())
	m.producer.Input() <- &sarama.ProducerMessage{
		Topic: m.output,
		Key:   sarama.ByteEncoder(message.Key),
		Value: sarama.StringEncoder(strconv.Itoa(2 * number)),
	}
	check(m.producer.AddMessageToTxn(message, m.group, nil))
	m.transactions++
	if m.transactions%3 == 0 {
		check(m.producer.AbortTxn())
		return false
	}
	check(m.producer.CommitTxn())
	m.left--
	if m.left == 0 {
		m.done()
	}
	return true
}

func main() {
	bootstrap, input, output, group, id := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	records, err := strconv.Atoi(os.Args[6])
	check(err)
	config := sarama.NewConfig()
	config.Version = sarama.V4_0_0_0
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Transaction.ID = id
	config.Net.MaxOpenRequests = 1
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	producer, err := sarama.NewAsyncProducer([]string{bootstrap}, config)
	check(err)
	go func() {
		for failure := range producer.Errors() {
			// The messages of an aborted transaction are reported as errors when they were not sent yet.
			fmt.Fprintln(os.Stderr, failure)
		}
	}()
	consumer, err := sarama.NewConsumerGroup([]string{bootstrap}, group, config)
	check(err)
	work := &mover{producer: producer, output: output, group: group, left: records, done: cancel}
	for ctx.Err() == nil {
		check(consumer.Consume(ctx, []string{input}, work))
	}
	check(consumer.Close())
	check(producer.Close())
	if work.left > 0 {
		fmt.Fprintln(os.Stderr, work.left, "records were not moved within a minute")
		os.Exit(1)
	}
	fmt.Println(records)
}
