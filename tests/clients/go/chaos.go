// franz-go in the chaos test: an idempotent producer and two members of a group, which tell a line for whatever they are told.
// The lines, the values and the standard input are those of ../java/Chaos.java.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// Records of one partition that may wait for their acknowledgements, and that are sent at once.
	backlog, burst = 300, 5
	last           = 150 * time.Second
)

var filling = strings.Repeat("x", 100)

type chaos struct {
	bootstrap, topic, group string
	partitions              int

	mu             sync.Mutex
	sent, answered []int
	// By partition, the offset after the last that was acknowledged, and after the last that was read.
	written, seen []int64
	readers       []*reader
	members       int
}

// Runs `chaos BOOTSTRAP TOPIC GROUP PARTITIONS PAUSE_MS`; whether all went well to its end.
func runChaos(args []string) bool {
	count, err1 := strconv.Atoi(args[3])
	pause, err2 := strconv.Atoi(args[4])
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	c := &chaos{bootstrap: args[0], topic: args[1], group: args[2], partitions: count,
		sent: make([]int, count), answered: make([]int, count), written: make([]int64, count), seen: make([]int64, count)}
	c.join()
	c.join()
	ended := make(chan struct{})
	go c.listen(ended)
	return c.produce(ended, time.Duration(pause)*time.Millisecond)
}

var lines sync.Mutex

func tell(format string, values ...any) {
	lines.Lock()
	defer lines.Unlock()
	fmt.Println(strings.ReplaceAll(fmt.Sprintf(format, values...), "\n", " "))
}

func (c *chaos) client(opts ...kgo.Opt) *kgo.Client {
	logger := kgo.BasicLogger(os.Stderr, kgo.LogLevelInfo, func() string { return time.Now().Format("15:04:05.000 ") })
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(c.bootstrap, ",")...), kgo.WithLogger(logger)}, opts...)...)
	if err != nil {
		panic(err)
	}
	return made
}

// One member takes the place of the older one at each line; the end of the input ends everything.
func (c *chaos) listen(ended chan struct{}) {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		c.readers[0].stop.Store(true)
		c.readers = c.readers[1:]
		c.join()
	}
	close(ended)
}

func (c *chaos) produce(ended chan struct{}, pause time.Duration) bool {
	producer := c.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(300*time.Second))
	for running := true; running; {
		for partition := range c.partitions {
			c.burst(producer, partition)
		}
		select {
		case <-ended:
			running = false
		case <-time.After(pause):
		}
	}
	end := time.Now().Add(last)
	for (c.outstanding() > 0 || !c.allRead()) && time.Now().Before(end) {
		time.Sleep(20 * time.Millisecond)
	}
	for partition, count := range c.sent {
		tell("sent %d %d", partition, count)
	}
	waiting, read := c.outstanding(), c.allRead()
	if waiting > 0 {
		tell("fault %d records are not answered %v after the last was sent", waiting, last)
	}
	if !read {
		tell("fault the group has read up to %v, acknowledged is up to %v", c.seen, c.written)
	}
	for _, r := range c.readers {
		r.stop.Store(true)
	}
	for _, r := range c.readers {
		<-r.done
	}
	if waiting == 0 {
		producer.Close()
	}
	return waiting == 0 && read
}

func (c *chaos) burst(producer *kgo.Client, partition int) {
	for range burst {
		c.mu.Lock()
		number := c.sent[partition]
		full := number-c.answered[partition] >= backlog
		if !full {
			c.sent[partition]++
		}
		c.mu.Unlock()
		if full {
			return
		}
		value := fmt.Sprintf("%d:%d:%s", partition, number, filling)
		record := &kgo.Record{Topic: c.topic, Partition: int32(partition), Value: []byte(value)}
		producer.Produce(context.Background(), record, func(where *kgo.Record, err error) {
			c.answer(partition, number, where, err)
		})
	}
}

func (c *chaos) answer(partition, number int, where *kgo.Record, err error) {
	if err == nil {
		tell("acked %d %d %d", partition, number, where.Offset)
	} else {
		tell("failed %d %d %v", partition, number, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered[partition]++
	if err == nil {
		c.written[partition] = max(c.written[partition], int64(number)+1)
	}
}

func (c *chaos) outstanding() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := 0
	for partition, count := range c.sent {
		all += count - c.answered[partition]
	}
	return all
}

func (c *chaos) allRead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for partition, written := range c.written {
		if c.seen[partition] < written {
			return false
		}
	}
	return true
}

// One member of the group; it commits after each poll. Its session is as short as that of the Java client's members.
type reader struct {
	id     int
	client *kgo.Client
	stop   atomic.Bool
	done   chan struct{}
}

func (c *chaos) join() {
	c.members++
	r := &reader{id: c.members, done: make(chan struct{})}
	told := func(word string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			tell("%s %d %s", word, r.id, strings.Trim(strings.ReplaceAll(fmt.Sprint(parts[c.topic]), " ", ","), "[]"))
		}
	}
	r.client = c.client(kgo.ConsumerGroup(c.group), kgo.ConsumeTopics(c.topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.OnPartitionsAssigned(told("assigned")), kgo.OnPartitionsRevoked(told("lost")), kgo.OnPartitionsLost(told("lost")))
	c.readers = append(c.readers, r)
	go r.run(c)
}

func (r *reader) run(c *chaos) {
	defer close(r.done)
	for !r.stop.Load() {
		r.poll(c)
		r.client.AllowRebalance()
	}
	r.client.CloseAllowingRebalance()
}

func (r *reader) poll(c *chaos) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	fetches := r.client.PollFetches(ctx)
	fetches.EachError(r.complain)
	fetches.EachPartition(func(part kgo.FetchTopicPartition) {
		if len(part.Records) > 0 {
			r.show(c, int(part.Partition), part.Records)
		}
	})
	if !r.stop.Load() && fetches.NumRecords() > 0 {
		r.commit(fetches)
	}
}

// The client goes on by itself after an error that may pass; any other is what no fault of a broker excuses.
func (r *reader) complain(topic string, partition int32, err error) {
	var session *kgo.ErrGroupSession
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
	case errors.As(err, &session) || kerr.IsRetriable(err):
		tell("waits %d %v", r.id, err)
	default:
		tell("fault member %d: %s, partition %d: %v", r.id, topic, partition, err)
	}
}

// In ranges: a new one where an offset does not follow the one before.
func (r *reader) show(c *chaos, partition int, records []*kgo.Record) {
	from, next := records[0].Offset, records[0].Offset
	for _, record := range records {
		if !strings.HasPrefix(string(record.Value), fmt.Sprintf("%d:%d:", partition, record.Offset)) {
			value := strings.Replace(string(record.Value), filling, "..", 1)
			tell("fault member %d: partition %d, offset %d holds %s", r.id, partition, record.Offset, value)
		}
		if record.Offset != next {
			tell("read %d %d %d-%d", r.id, partition, from, next-1)
			from = record.Offset
		}
		next = record.Offset + 1
	}
	tell("read %d %d %d-%d", r.id, partition, from, next-1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[partition] = max(c.seen[partition], next)
}

func (r *reader) commit(fetches kgo.Fetches) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := r.client.CommitRecords(ctx, fetches.Records()...); err != nil {
		// The group moves, or its coordinator is away for long: not acknowledged, nothing to hold.
		tell("uncommitted %d %v", r.id, err)
		return
	}
	fetches.EachPartition(func(part kgo.FetchTopicPartition) {
		if count := len(part.Records); count > 0 {
			tell("committed %d %d %d", r.id, part.Partition, part.Records[count-1].Offset+1)
		}
	})
}
