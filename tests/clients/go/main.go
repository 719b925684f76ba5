// franz-go against the server: topics, every codec, a group of three, offsets, configs; or what the chaos test asks for.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 6

var (
	broker = os.Getenv("BOOTSTRAP")
	run    = "franz-go-" + random()
	failed bool
)

func random() string {
	b := make([]byte, 4)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}

func check(sentence string, work func(ctx context.Context) error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if err := work(ctx); err != nil {
		failed = true
		fmt.Printf("FAIL %s: %s\n", sentence, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("ok   %s (%.1f s)\n", sentence, time.Since(start).Seconds())
}

func until(what string, seconds int, ready func() bool) error {
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for time.Now().Before(end) {
		if ready() {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s: not within %d s", what, seconds)
}

func client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(broker), kgo.MetadataMinAge(200 * time.Millisecond)}, opts...)...)
}

func admin() (*kadm.Client, error) {
	c, err := client()
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(c), nil
}

func create(ctx context.Context, topic string, count int32, configs map[string]*string) error {
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	_, err = adm.CreateTopic(ctx, count, 1, configs, topic)
	return err
}

func describes(ctx context.Context) error {
	hour := "3600000"
	topic := run + "-plain"
	if err := create(ctx, topic, 3, map[string]*string{"retention.ms": &hour}); err != nil {
		return err
	}
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return err
	}
	if got := len(topics[topic].Partitions); got != 3 {
		return fmt.Errorf("%d partitions instead of 3", got)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return err
	}
	found := map[string]string{}
	for _, c := range configs[0].Configs {
		found[c.Key] = c.MaybeValue()
	}
	if found["retention.ms"] != hour || found["cleanup.policy"] == "" {
		return fmt.Errorf("configs are %v", found)
	}
	brokers, err := adm.ListBrokers(ctx)
	if err != nil || len(brokers) == 0 {
		return fmt.Errorf("brokers: %v %v", brokers, err)
	}
	if _, err := adm.UpdatePartitions(ctx, 5, topic); err != nil {
		return err
	}
	if topics, err = adm.ListTopics(ctx, topic); err != nil || len(topics[topic].Partitions) != 5 {
		return fmt.Errorf("after growing: %d partitions, %v", len(topics[topic].Partitions), err)
	}
	deleted, err := adm.DeleteTopics(ctx, topic)
	if err != nil {
		return err
	}
	return deleted.Error()
}

func codecRound(codec string, compression kgo.CompressionCodec) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		topic := run + "-" + codec
		if err := create(ctx, topic, 1, nil); err != nil {
			return err
		}
		sent := records(topic, 200)
		c, err := client(kgo.ProducerBatchCompression(compression), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.ProduceSync(ctx, sent...).FirstErr(); err != nil {
			return err
		}
		return readBack(ctx, topic, 0, sent)
	}
}

func records(topic string, count int) []*kgo.Record {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	var out []*kgo.Record
	for i := range count {
		keys := [][]byte{nil, {}, []byte(fmt.Sprintf("key-%d", i))}
		values := [][]byte{bytes.Repeat(all, 3), []byte(fmt.Sprintf("value-%d", i)), {}, []byte("größe €"), nil}
		headers := [][]kgo.RecordHeader{nil, {{Key: "h", Value: []byte{0, 255}}, {Key: "h", Value: []byte("again")}},
			{{Key: "empty", Value: []byte{}}, {Key: "null"}}}
		out = append(out, &kgo.Record{Topic: topic, Key: keys[i%3], Value: values[i%5], Headers: headers[i%3]})
	}
	return out
}

// The records of partition 0 from `first` on must be those sent, nil told from empty.
func readBack(ctx context.Context, topic string, first int64, sent []*kgo.Record) error {
	start := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(first)}}
	c, err := client(kgo.ConsumePartitions(start))
	if err != nil {
		return err
	}
	defer c.Close()
	var found []*kgo.Record
	for len(found) < len(sent)-int(first) {
		fetches := c.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("after %d records: %w", len(found), errs[0].Err)
		}
		found = append(found, fetches.Records()...)
	}
	for i, got := range found {
		want := sent[int(first)+i]
		if got.Offset != first+int64(i) || show(got) != show(want) {
			return fmt.Errorf("offset %d holds %s instead of %s", got.Offset, show(got), show(want))
		}
	}
	return nil
}

func show(r *kgo.Record) string {
	out := fmt.Sprintf("%q/%v %q/%v", r.Key, r.Key == nil, r.Value, r.Value == nil)
	for _, h := range r.Headers {
		out += fmt.Sprintf(" %s=%q/%v", h.Key, h.Value, h.Value == nil)
	}
	return out
}

// One member of a group, polling and committing as an application would.
type member struct {
	client *kgo.Client
	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	seen   []string
	owned  map[int32]bool
	err    error
}

func join(group, topic string) (*member, error) {
	m := &member{owned: map[int32]bool{}, done: make(chan struct{})}
	// Lost and revoked partitions leave the same way; what was read is committed before they go.
	gone := func(_ context.Context, c *kgo.Client, parts map[string][]int32) {
		if err := c.CommitUncommittedOffsets(context.Background()); err != nil {
			m.note(err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, part := range parts[topic] {
			delete(m.owned, part)
		}
	}
	var err error
	m.client, err = client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.SessionTimeout(6*time.Second), kgo.FetchMaxWait(100*time.Millisecond), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsRevoked(gone), kgo.OnPartitionsLost(gone),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			m.mu.Lock()
			defer m.mu.Unlock()
			for _, part := range parts[topic] {
				m.owned[part] = true
			}
		}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go m.poll(ctx)
	return m, nil
}

func (m *member) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
	}
}

func (m *member) poll(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		fetches := m.client.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.Canceled) {
				m.note(e.Err)
			}
		}
		m.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { m.seen = append(m.seen, string(r.Value)) })
		m.mu.Unlock()
		m.client.AllowRebalance()
	}
}

func (m *member) leave() error {
	m.cancel()
	<-m.done
	if err := m.client.CommitUncommittedOffsets(context.Background()); err != nil {
		return err
	}
	m.client.CloseAllowingRebalance()
	return m.err
}

func covered(members ...*member) func() bool {
	return func() bool {
		all := map[int32]bool{}
		for _, m := range members {
			m.mu.Lock()
			some := len(m.owned) > 0
			for part := range m.owned {
				if all[part] {
					some = false
				}
				all[part] = true
			}
			m.mu.Unlock()
			if !some {
				return false
			}
		}
		return len(all) == partitions
	}
}

func seenBy(sent map[string]bool, members ...*member) func() bool {
	return func() bool {
		left := len(sent)
		counted := map[string]bool{}
		for _, m := range members {
			m.mu.Lock()
			for _, value := range m.seen {
				if sent[value] && !counted[value] {
					counted[value] = true
					left--
				}
			}
			m.mu.Unlock()
		}
		return left == 0
	}
}

func groupStory(ctx context.Context) error {
	topic, group := run+"-shared", run+"-group"
	if err := create(ctx, topic, partitions, nil); err != nil {
		return err
	}
	producer, err := client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer producer.Close()
	sent := map[string]bool{}
	produce := func(count int) error {
		var batch []*kgo.Record
		for i := range count {
			value := fmt.Sprint(len(sent))
			sent[value] = true
			batch = append(batch, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: []byte(value)})
		}
		return producer.ProduceSync(ctx, batch...).FirstErr()
	}
	first, err1 := join(group, topic)
	second, err2 := join(group, topic)
	third := (*member)(nil)
	steps := []func() error{
		func() error { return errors.Join(err1, err2) },
		func() error { return until("two members own all partitions", 40, covered(first, second)) },
		func() error { return produce(300) },
		func() error { third, err = join(group, topic); return err },
		func() error { return until("three members own all partitions", 40, covered(first, second, third)) },
		func() error { return produce(300) },
		func() error { return stable(ctx, group, 3) },
		func() error { return until("everything is read", 30, seenBy(sent, first, second, third)) },
		func() error { return second.leave() },
		func() error { return until("the other two own all partitions", 40, covered(first, third)) },
		func() error { return produce(300) },
		func() error { return until("nothing is lost", 30, seenBy(sent, first, second, third)) },
		func() error { return errors.Join(first.leave(), third.leave()) },
		func() error { return resumes(ctx, group, topic, sent, produce) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func stable(ctx context.Context, group string, members int) error {
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	last := ""
	err = until("the group is stable", 20, func() bool {
		groups, err := adm.DescribeGroups(ctx, group)
		last = fmt.Sprint(groups[group].State, " ", len(groups[group].Members), " ", err)
		return err == nil && groups[group].State == "Stable" && len(groups[group].Members) == members
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return err
	}
	if _, ok := listed[group]; !ok {
		return errors.New("the group is not listed")
	}
	return nil
}

func resumes(ctx context.Context, group, topic string, sent map[string]bool, produce func(int) error) error {
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	offsets, err := adm.FetchOffsets(ctx, group)
	if err != nil {
		return err
	}
	sum := 0
	offsets.Offsets().Each(func(o kadm.Offset) { sum += int(o.At) })
	if sum != len(sent) {
		return fmt.Errorf("the committed offsets add up to %d instead of %d", sum, len(sent))
	}
	before := len(sent)
	if err := produce(60); err != nil {
		return err
	}
	late, err := join(group, topic)
	if err != nil {
		return err
	}
	if err := until("the late member reads what came since", 40, func() bool {
		late.mu.Lock()
		defer late.mu.Unlock()
		return len(late.seen) >= 60
	}); err != nil {
		return err
	}
	if err := late.leave(); err != nil {
		return err
	}
	sort.Strings(late.seen)
	for _, value := range late.seen {
		var n int
		if _, err := fmt.Sscan(value, &n); err != nil || n < before {
			return fmt.Errorf("the late member read %q again", value)
		}
	}
	return nil
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "chaos" {
		if !runChaos(os.Args[2:]) {
			os.Exit(1)
		}
		return
	}
	codecs := []struct {
		name  string
		codec kgo.CompressionCodec
	}{{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()},
		{"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}}
	check("creates, lists, describes, grows and deletes a topic", describes)
	for _, c := range codecs {
		check("produces with "+c.name+" and reads back every byte of key, value and headers", codecRound(c.name, c.codec))
	}
	check("reads from the middle of a partition", func(ctx context.Context) error {
		return readBack(ctx, run+"-none", 150, records(run+"-none", 200))
	})
	check("three members share a group while one joins and one leaves: nothing lost, all partitions covered, "+
		"and a later member resumes at the committed offsets", groupStory)
	if failed {
		os.Exit(1)
	}
}
