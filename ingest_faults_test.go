package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"belfry/incidents/store"
	"belfry/ingest"
	"belfry/ingest/broker"
	"belfry/telemetry"
	"belfry/warehouse/chdb"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/segmentio/kafka-go"
)

// The tests of this file hold the promise that every accepted reading is in the
// warehouse exactly once in effect. A producer knows what the log acknowledged;
// consumers in processes of their own share the log and one ClickHouse; and
// things go wrong. In the end the warehouse must say what the producer says.
//
// BELFRY_TEST_FAULTS=N makes N faults instead of a few; BELFRY_TEST_FAULTS_SEED
// repeats the order of an earlier run.

// sharedClickHouse is a ClickHouse server for several processes: the engine of
// this test, behind as much of HTTP as the driver needs.
type sharedClickHouse struct {
	engine  *chdb.Engine
	dir     string
	address string
	mood    atomic.Int32 // what it does with inserts
	refused atomic.Int64 // inserts that were answered with an error
	gate    sync.RWMutex // inserts wait while a test holds it
}

const (
	inserts      = iota
	refuses      // does nothing, and says so
	forgetsToSay // inserts, and answers with an error
)

func startClickHouse(t *testing.T, dir string) *sharedClickHouse {
	t.Helper()
	e, err := chdb.Open(chdb.Options{Path: filepath.Join(dir, "warehouse")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	s := &sharedClickHouse{engine: e, dir: dir}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.address = web.Listener.Addr().String()
	return s
}

// ServeHTTP answers clickhouse-go.
func (s *sharedClickHouse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its client was killed
	}
	q := r.URL.Query()
	if strings.Contains(string(body), "displayName()") {
		w.Header().Set("X-ClickHouse-Format", "Native")
		_, _ = w.Write(serverHello())
		return
	}
	var answer []byte
	if statement := q.Get("query"); statement != "" {
		err = s.insert(statement, body)
	} else {
		params := map[string]string{}
		for k, v := range q {
			if name, ok := strings.CutPrefix(k, "param_"); ok {
				params[name] = v[0]
			}
		}
		answer, err = s.engine.Query(r.Context(), string(body), q.Get("default_format"), params)
	}
	if err != nil {
		var refused *chdb.Error
		if errors.As(err, &refused) {
			w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(refused.Code))
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-ClickHouse-Format", q.Get("default_format"))
	_, _ = w.Write(answer)
}

// insert goes on when its client dies, as a server's does.
func (s *sharedClickHouse) insert(statement string, body []byte) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	sql, format, _ := strings.Cut(statement, " FORMAT ")
	mood := s.mood.Load()
	var err error
	if mood != refuses {
		err = s.engine.Insert(context.Background(), sql, format, body)
	}
	if mood != inserts && err == nil {
		err = &chdb.Error{Code: 252, Message: "Code: 252. DB::Exception: the test says so. (TOO_MANY_PARTS)"}
	}
	if err != nil {
		s.refused.Add(1)
	}
	return err
}

func serverHello() []byte {
	const revision = 54460
	var name, version, zone proto.ColStr
	var number proto.ColUInt32
	name.Append("faults")
	version.Append("26.7.3.1")
	number.Append(revision)
	zone.Append("UTC")
	var b proto.Buffer
	if err := (proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Rows: 1, Columns: 4}).EncodeBlock(&b, revision, []proto.InputColumn{
		{Name: "displayName()", Data: name}, {Name: "version()", Data: version}, {Name: "revision()", Data: number}, {Name: "timezone()", Data: zone}}); err != nil {
		panic(err)
	}
	return b.Buf
}

// query returns the rows of a statement as lines of fields.
func (s *sharedClickHouse) query(t *testing.T, sql string) (rows [][]string) {
	t.Helper()
	text, err := s.engine.Query(t.Context(), sql, "TSV", nil)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// aLog is a log that can be killed and started again at the same address.
type aLog struct {
	address string
	restart func()
	quick   bool // it starts at once; a log that does not gets fewer faults
}

// brokerEnv makes a process of this test binary a broker: "DIR ADDRESS".
const brokerEnv = "BELFRY_TEST_BROKER"

// TestBrokerProcess is no test: it is the process of the embedded broker.
func TestBrokerProcess(t *testing.T) {
	dir, address, ok := strings.Cut(os.Getenv(brokerEnv), " ")
	if !ok {
		t.Skip("this is the broker of other tests")
	}
	if _, err := broker.Start(broker.Options{Dir: dir, Addr: address}); err != nil {
		t.Fatal(err)
	}
	select {} // until it is killed
}

func embeddedLog(t *testing.T) *aLog {
	l := &aLog{quick: true, address: "127.0.0.1:" + freePort(t)}
	dir := t.TempDir()
	var cmd *exec.Cmd
	start := func() {
		cmd = exec.Command(os.Args[0], "-test.run=^TestBrokerProcess$")
		cmd.Env = append(os.Environ(), brokerEnv+"="+dir+" "+l.address)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	kill := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	start()
	t.Cleanup(func() { kill() })
	l.restart = func() { kill(); start() }
	return l
}

func kafkaLog(t *testing.T) *aLog {
	script := filepath.Join("deploy", "kafka", "kafka.sh")
	if testing.Short() {
		t.Skip("no real Kafka in a short run")
	}
	if out, err := exec.Command(script, "present").CombinedOutput(); err != nil {
		t.Skipf("no Apache Kafka here; make setup-tests brings it: %s", out)
	}
	port, controller, dir := freePort(t), freePort(t), t.TempDir()
	run := func(args ...string) {
		if out, err := exec.Command(script, args...).CombinedOutput(); err != nil {
			t.Errorf("kafka.sh %v: %v\n%s", args, err, out)
		}
	}
	up := func() { run("up", port, dir, controller) }
	up()
	t.Cleanup(func() { run("down", dir) })
	return &aLog{address: "127.0.0.1:" + port, restart: func() { run("down", dir); up() }}
}

const faultsTopic = "belfry.default.telemetry"

// producer sends readings and remembers the last value of each that the log
// has acknowledged.
type producer struct {
	t      *testing.T
	intake *ingest.Intake
	random *rand.Rand

	mu   sync.Mutex
	want map[string]uint32 // by device and time
	keys []string
	sent int
}

const faultyDevices = 40

// What the devices send: most of them counts, some heartbeats, some what their
// counters show.
const (
	sendsCounts = iota
	sendsHeartbeats
	sendsTotals
)

var says = [...]string{sendsCounts: `"in":%d,"out":1`, sendsHeartbeats: `"kind":"heartbeat","temp":%d`, sendsTotals: `"in_total":%d`}

func kindOf(device string) int {
	n, _ := strconv.Atoi(device[1:])
	return max(0, n%5-2)
}

var faultsStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// round sends n readings, of which some are corrections or repetitions of
// earlier ones, and insists until the log has them.
func (p *producer) round(ctx context.Context, n int) {
	var records []ingest.Record
	last := map[string]uint32{}
	for range n {
		var key string
		if p.random.IntN(10) == 0 && len(p.keys) > 0 {
			key = p.keys[p.random.IntN(len(p.keys))]
		} else {
			key = fmt.Sprintf("d%d %d", p.sent%faultyDevices, faultsStart.Add(time.Duration(p.sent/faultyDevices)*time.Minute).UnixMilli())
			p.keys = append(p.keys, key)
			p.sent++
		}
		device, ts, _ := strings.Cut(key, " ")
		value := p.random.Uint32N(1000)
		last[key] = value
		records = append(records, ingest.Record{Key: []byte(device), Value: fmt.Appendf(nil, `{"device":"%s","ts":%s,%s}`, device, ts, fmt.Sprintf(says[kindOf(device)], value))})
	}
	for ctx.Err() == nil {
		if err := p.intake.Append(ctx, records); err == nil {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, value := range last {
		p.want[key] = value
	}
}

// run sends until the context ends.
func (p *producer) run(ctx context.Context) {
	for ctx.Err() == nil {
		p.round(context.WithoutCancel(ctx), 1000)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond): // a pace, so that the test is about faults
		}
	}
}

// faults is a run: a log, a warehouse, consumers and what happens to them.
type faults struct {
	t          *testing.T
	random     *rand.Rand
	log        *aLog
	clickhouse *sharedClickHouse
	client     *kafka.Client
	consumers  []*program
	producer   *producer
	disk       string // a small disk with the warehouse on it; "" when there is none
}

func (f *faults) add() {
	data := f.t.TempDir()
	settings := []string{"BELFRY_LOG_BROKERS=" + f.log.address, "BELFRY_WAREHOUSE_ADDRESSES=" + f.clickhouse.address}
	f.consumers = append(f.consumers, launch(f.t, data, settings, "serve", "--roles", "ingest", "--data", data))
}

// take removes a consumer from the list, at random.
func (f *faults) take() *program {
	i := f.random.IntN(len(f.consumers))
	p := f.consumers[i]
	f.consumers = append(f.consumers[:i:i], f.consumers[i+1:]...)
	return p
}

// until polls; it gives up after five minutes.
func (f *faults) until(what string, ok func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := poll(ctx, 20*time.Millisecond, func() (bool, error) { return ok(), nil }); err != nil {
		logs := ""
		for _, c := range f.consumers {
			logs += "\n" + c.log.String()
		}
		f.t.Fatalf("waited in vain until %s; the consumers' logs:%s", what, logs)
	}
}

// progress waits until the group has committed more than it has now, so that
// the next fault meets a consumer at work.
func (f *faults) progress() {
	f.t.Helper()
	before, _, err := f.offsets()
	f.until("ingestion goes on", func() bool {
		now, _, err2 := f.offsets()
		if err != nil {
			before, err = now, err2
			return false
		}
		return err2 == nil && now > before
	})
}

// offsets returns how many records the group has committed, and how many there are.
func (f *faults) offsets() (committed, end int64, err error) {
	done, ends, err := f.ends()
	for p := range done {
		committed, end = committed+done[p], end+ends[p]
	}
	return committed, end, err
}

// ends returns the same by partition.
func (f *faults) ends() (committed, end []int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var ask []kafka.OffsetRequest
	var ids []int
	for p := range ingest.DefaultPartitions {
		ask, ids = append(ask, kafka.LastOffsetOf(p)), append(ids, p)
	}
	log, err := f.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{faultsTopic: ask}})
	if err != nil {
		return nil, nil, err
	}
	group, err := f.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: ingest.DefaultGroup, Topics: map[string][]int{faultsTopic: ids}})
	if err == nil {
		err = group.Error
	}
	if err != nil {
		return nil, nil, err
	}
	committed, end = make([]int64, len(ids)), make([]int64, len(ids))
	for _, p := range log.Topics[faultsTopic] {
		err = errors.Join(err, p.Error)
		end[p.Partition] = p.LastOffset
	}
	for _, p := range group.Topics[faultsTopic] {
		err = errors.Join(err, p.Error)
		committed[p.Partition] = max(p.CommittedOffset, 0)
	}
	return committed, end, err
}

// The faults, by name. Each leaves at least one consumer that works.
func (f *faults) killed() {
	f.take().kill()
	f.add()
}

func (f *faults) joined() {
	if len(f.consumers) == 3 {
		f.take().stop()
		return
	}
	f.add()
}

// zombie stops a process until its partitions belong to others, and wakes it.
func (f *faults) zombie() {
	for len(f.consumers) < 2 {
		f.add()
	}
	p := f.consumers[f.random.IntN(len(f.consumers))]
	f.until("it has partitions", func() bool { return p.counter("belfry_ingest_partitions") > 0 })
	f.progress()
	f.signal(p, syscall.SIGSTOP)
	_, begin, err := f.ends()
	if err != nil {
		f.t.Fatal(err)
	}
	var target []int64 // there is something new in each partition, also in those that it held
	f.until("more is sent", func() bool {
		_, target, err = f.ends()
		return err == nil && every(begin, target, func(a, b int64) bool { return a < b })
	})
	f.until("the others have taken over", func() bool {
		committed, _, err := f.ends()
		return err == nil && every(committed, target, func(a, b int64) bool { return a >= b })
	})
	f.signal(p, syscall.SIGCONT)
}

func every(a, b []int64, ok func(a, b int64) bool) bool {
	for i := range a {
		if !ok(a[i], b[i]) {
			return false
		}
	}
	return true
}

func (f *faults) signal(p *program, s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil {
		f.t.Fatal(err)
	}
}

func (f *faults) logRestarted() { f.log.restart() }

func (f *faults) sinkRefuses() { f.moody(refuses) }

// answerLost has the warehouse insert, and its answer get lost.
func (f *faults) answerLost() { f.moody(forgetsToSay) }

func (f *faults) moody(mood int32) {
	before := f.clickhouse.refused.Load()
	f.clickhouse.mood.Store(mood)
	f.until("inserts were refused", func() bool { return f.clickhouse.refused.Load() >= before+3 })
	f.clickhouse.mood.Store(inserts)
}

// diskFull fills the warehouse's disk, and makes room again.
func (f *faults) diskFull() {
	if f.disk == "" {
		return
	}
	before := f.clickhouse.refused.Load()
	ballast := filepath.Join(f.disk, "ballast")
	f.until("inserts fail for want of space", func() bool {
		f.fill(ballast)
		return f.clickhouse.refused.Load() >= before+3
	})
	if err := os.Remove(ballast); err != nil {
		f.t.Fatal(err)
	}
}

// fill leaves half as much room as inserts want to see.
func (f *faults) fill(ballast string) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(f.disk, &disk); err != nil {
		f.t.Fatal(err)
	}
	file, err := os.OpenFile(ballast, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	piece := make([]byte, 1<<20)
	for free := int(disk.Bavail) * int(disk.Bsize); free > chdb.MinFree/2; free -= len(piece) {
		if _, err := file.Write(piece); err != nil {
			f.t.Fatal(err)
		}
	}
}

// smallDisk mounts a disk of 512 MB in memory; "" when this user may not.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("belfry-test", dir, "tmpfs", 0, "size=512m"); err != nil {
		t.Logf("the disk is never full in this run: a small one can't be mounted: %v", err)
		return ""
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func TestWhateverGoesWrongEveryReadingIsThereOnceWithItsLastValue(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *aLog{"on the embedded log": embeddedLog, "on a real Apache Kafka": kafkaLog} {
		t.Run(name, func(t *testing.T) { goWrong(t, start(t)) })
	}
}

func goWrong(t *testing.T, log *aLog) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("BELFRY_TEST_FAULTS_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("BELFRY_TEST_FAULTS_SEED=%d", seed)
	f := &faults{t: t, log: log, random: rand.New(rand.NewPCG(seed, 1)),
		client: &kafka.Client{Addr: kafka.TCP(log.address), Transport: &kafka.Transport{MetadataTTL: time.Second}}}
	f.disk = smallDisk(t)
	dir := f.disk
	if dir == "" {
		dir = t.TempDir()
	}
	f.clickhouse = startClickHouse(t, dir)
	connection := ingest.Connection{Brokers: []string{log.address}}
	f.until("the log answers", func() bool {
		return ingest.EnsureTopic(t.Context(), connection, ingest.Topic{Name: faultsTopic, Create: true}) == nil
	})
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: connection, Topic: faultsTopic, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f.add()
	f.producer = &producer{t: t, intake: in, random: rand.New(rand.NewPCG(seed, 2)), want: map[string]uint32{}}
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { f.producer.run(ctx) })
	defer sending.Wait()
	defer stop()
	f.goWrong()
	stop()
	sending.Wait()
	for last, done := int64(-1), false; !done; { // as long as it takes, while it goes on
		f.until("more is ingested", func() bool {
			committed, end, err := f.offsets()
			if err != nil || committed == last {
				return false
			}
			last, done = committed, committed == end
			return true
		})
	}
	f.check()
}

// goWrong makes some of the faults, in any order; BELFRY_TEST_FAULTS says how many.
func (f *faults) goWrong() {
	all := map[string]func(){"a consumer is killed": f.killed, "a consumer joins or leaves": f.joined, "a consumer sleeps": f.zombie, "the log is restarted": f.logRestarted,
		"the warehouse refuses": f.sinkRefuses, "the warehouse's answer is lost": f.answerLost, "the disk is full": f.diskFull}
	names := []string{"a consumer is killed", "a consumer joins or leaves", "a consumer is killed", "the warehouse refuses", "the log is restarted",
		"the warehouse's answer is lost", "the disk is full", "a consumer is killed", "a consumer sleeps"}
	n := 6
	if !f.log.quick {
		n = 3 // joining, leaving and waiting for the dead take long there
	}
	if text := os.Getenv("BELFRY_TEST_FAULTS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	for i := range n {
		if i%len(names) == 0 {
			f.random.Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
		}
		f.progress()
		began := time.Now()
		all[names[i%len(names)]]()
		f.t.Logf("%s (%.1f s); %d consumers", names[i%len(names)], time.Since(began).Seconds(), len(f.consumers))
	}
	f.progress()
}

// check holds the warehouse against the producer.
func (f *faults) check() {
	f.t.Helper()
	ids := map[string]string{}
	for d := range faultyDevices {
		name := fmt.Sprintf("d%d", d)
		ids[strconv.FormatUint(uint64(telemetry.IDOf(name)), 10)] = name
	}
	got := map[string]string{}
	db := databaseOf(store.Tenant{Name: store.DefaultTenant})
	for _, table := range []string{
		"SELECT device, toUnixTimestamp64Milli(ts), argMax(in, (delay, offset)) FROM " + db + ".raw_counts GROUP BY device, ts",
		"SELECT device, toUnixTimestamp64Milli(ts), argMax(measurements['temp'], (delay, offset)) FROM " + db + ".raw_heartbeats GROUP BY device, ts",
	} {
		for _, row := range f.clickhouse.query(f.t, table) {
			got[ids[row[0]]+" "+row[1]] = row[2]
		}
	}
	wanted := f.producer.counts()
	wrong := 0
	for key, want := range wanted {
		if got[key] != strconv.FormatUint(uint64(want), 10) {
			if wrong++; wrong <= 5 {
				f.t.Errorf("%s: got %q, want %d", key, got[key], want)
			}
		}
	}
	if len(got) != len(wanted) || wrong > 0 {
		f.t.Errorf("%d readings in the warehouse, %d are wanted; %d are wrong", len(got), len(wanted), wrong)
	}
	f.checkVersions(db, ids)
	f.checkHeard(db)
	f.t.Logf("%d readings, each there once with its last value", len(got))
}

// counts are the readings that the warehouse must have: of a counter, the
// differences of what it showed.
func (p *producer) counts() map[string]uint32 {
	wanted, shown := map[string]uint32{}, map[string][]int{}
	for key, value := range p.want {
		device, ts, _ := strings.Cut(key, " ")
		if kindOf(device) != sendsTotals {
			wanted[key] = value
			continue
		}
		at, _ := strconv.Atoi(ts)
		shown[device] = append(shown[device], at)
	}
	for device, times := range shown {
		slices.Sort(times)
		for i := 1; i < len(times); i++ {
			before, now := p.want[fmt.Sprint(device, " ", times[i-1])], p.want[fmt.Sprint(device, " ", times[i])]
			if now >= before {
				now -= before // else the counter was reset
			}
			wanted[fmt.Sprint(device, " ", times[i])] = now
		}
	}
	return wanted
}

// checkHeard holds what is noted of last arrivals, beside the readings, against them.
func (f *faults) checkHeard(db string) {
	f.t.Helper()
	for _, kind := range []string{"count", "heartbeat"} {
		readings := "SELECT device, max(ts), max(ts + toIntervalMillisecond(delay)) FROM " + db + ".raw_" + kind + "s GROUP BY device"
		noted := strings.ReplaceAll("SELECT device, max(K_ts), max(K_arrival) FROM "+db+".raw_latest GROUP BY device HAVING max(K_ts) > 0", "K", kind)
		for _, sql := range []string{readings + " EXCEPT " + noted, noted + " EXCEPT " + readings} {
			if rows := f.clickhouse.query(f.t, sql); len(rows) > 0 {
				f.t.Errorf("%s: %d rows, the first %v; want none", sql, len(rows), rows[0])
			}
		}
	}
}

// checkVersions counts what was inserted: each record of the log is one version
// of a reading, however often it was read.
func (f *faults) checkVersions(db string, ids map[string]string) {
	f.t.Helper()
	_, end, err := f.offsets()
	if err != nil {
		f.t.Fatal(err)
	}
	var plain []string // devices whose counts stand in the log as they are
	for id, name := range ids {
		if kindOf(name) == sendsCounts {
			plain = append(plain, id)
		}
	}
	versions, inserted, differ := int64(0), int64(0), int64(0)
	for table, columns := range map[string]string{"raw_counts": "tuple(in, out, interval)", "raw_heartbeats": "tuple(fw, measurements)", "raw_totals": "tuple(in_total, out_total, modulus)"} {
		from := db + "." + table
		if table == "raw_counts" {
			from += " WHERE device IN (" + strings.Join(plain, ",") + ")"
		}
		row := f.clickhouse.query(f.t, "SELECT count(), sum(n), countIf(xs > 1) FROM (SELECT count() AS n, uniqExact("+columns+") AS xs FROM "+from+" GROUP BY device, ts, delay, offset)")[0]
		for i, sum := range []*int64{&versions, &inserted, &differ} {
			n, _ := strconv.ParseInt(row[i], 10, 64)
			*sum += n
		}
	}
	counted := f.clickhouse.query(f.t, "SELECT countIf(xs > 1) FROM (SELECT uniqExact(in, out, interval) AS xs FROM "+db+".raw_counts GROUP BY device, ts, delay, offset)")[0]
	if counted[0] != "0" {
		f.t.Errorf("%s counts between totals differ from their repetition", counted[0])
	}
	if versions != end || differ != 0 {
		f.t.Errorf("the log has %d records, the warehouse %d versions; %d of them differ from their repetition", end, versions, differ)
	}
	f.t.Logf("%d records are %d versions; %d rows were inserted", end, versions, inserted)
}
