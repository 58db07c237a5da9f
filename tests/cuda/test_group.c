// Sums and gathers among emulated devices: in the order of the ranks to the bit, repeated as graphs too, and what goes
// wrong between ranks is found by all of them, with no rank left waiting.
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "tests/cuda/ranks.h"

enum { MOST = 3001, WORKSPACE = 4096 };  // of the workspace: pieces of at most 1024 numbers
enum gather_fault { GATHER_FINE, GATHER_REFUSED, GATHER_BROKEN, GATHER_LOST };
void isoloss_emulator_gather_fault(int rank, int fault);
void isoloss_emulator_capability(int capability);
void isoloss_emulator_forget_errors(void);
unsigned long long isoloss_emulator_graph_launches(void);

static const struct ops *ops;
static struct device *devices[MOST_RANKS];
static struct device_group *group;
static void *workspace[MOST_RANKS];
static float *part[MOST_RANKS], *before[MOST_RANKS], *sum[MOST_RANKS];
static float parts[MOST_RANKS][MOST], earlier[MOST];
static int ranks;

static void give_up(const struct error *error) {
  printf("Bail out! %s\n", error->text);
  exit(1);
}

static void *get(int rank, size_t bytes) {
  struct error error = {0};
  void *memory = ops->allocate(devices[rank], bytes, &error);
  if (!memory) give_up(&error);
  return memory;
}

static void begin(int count) {
  struct error error = {0};
  ranks = count;
  isoloss_emulator_devices(count);
  for (int i = 0; i < count; i++) {
    devices[i] = ops->open(&(struct device_options){.number = i}, &error);
    if (!devices[i]) give_up(&error);
    ops->set_workspace(devices[i], workspace[i] = get(i, WORKSPACE), WORKSPACE);
    part[i] = get(i, sizeof parts[i]);
    before[i] = get(i, sizeof earlier);
    sum[i] = get(i, sizeof earlier);
    for (int k = 0; k < MOST; k++) {
      // Far apart in size, so that the order of additions shows.
      parts[i][k] = (float)ldexp((double)random_below(7, 1000, (uint64_t)i, (uint64_t)k, 1 << 24) - (1 << 23),
                                 (int)random_below(7, 1001, (uint64_t)i, (uint64_t)k, 30));
      earlier[k] = (float)random_below(7, 1002, 0, (uint64_t)k, 1 << 24);
    }
    ops->upload(devices[i], part[i], parts[i], sizeof parts[i]);
    ops->upload(devices[i], before[i], earlier, sizeof earlier);
    ops->clear(devices[i], sum[i], sizeof earlier);
  }
  group = ops->group_open(devices, count, &error);
  if (!group) give_up(&error);
}

static void end(void) {
  ops->group_close(group);
  for (int i = 0; i < ranks; i++) {
    void *memory[] = {workspace[i], part[i], before[i], sum[i]};
    if (ops->repeat_forget) ops->repeat_forget(devices[i]);
    for (int k = 0; k < 4; k++) ops->free(devices[i], memory[k]);
    ops->close(devices[i]);
  }
}

// ---- sums ----
struct sum_call {
  int64_t count;
  bool more;  // something comes before
  int into;   // 0: an array of its own; 1: the part; 2: what comes before
};

static void add(void *context, int rank) {
  const struct sum_call *call = context;
  float *to = call->into == 1 ? part[rank] : call->into == 2 ? before[rank] : sum[rank];
  ops->group_sum(devices[rank], call->count, call->more ? before[rank] : NULL, part[rank], to);
  ops->group_leave(devices[rank], NULL);
}

static float in_order(int64_t k, bool more, bool backward) {
  float total = more ? earlier[k] : parts[backward ? ranks - 1 : 0][k];
  for (int i = more ? 0 : 1; i < ranks; i++) total += parts[backward ? ranks - 1 - i : i][k];
  return total;
}

static void check_sum(const struct sum_call *call) {
  static float got[MOST];
  struct error error = {0};
  int64_t other_order = 0;
  for (int rank = 0; rank < ranks; rank++) {
    float *from = call->into == 1 ? part[rank] : call->into == 2 ? before[rank] : sum[rank];
    int64_t wrong = 0;
    if (!CHECK(ops->download(devices[rank], got, from, (size_t)call->count * sizeof *got, &error)))
      printf("# %s\n", error.text);
    for (int64_t k = 0; k < call->count; k++) {
      wrong += got[k] != in_order(k, call->more, false);
      other_order += got[k] != in_order(k, call->more, true);
    }
    if (!CHECK(wrong == 0)) printf("# rank %d: %lld of %lld\n", rank, (long long)wrong, (long long)call->count);
  }
  // Another order would have been seen: of two numbers alone there is none.
  if (call->count > 100 && (ranks > 2 || call->more)) CHECK(other_order > 0);
}

static void sums_in_order(void) {
  static const int64_t counts[] = {1, 255, 256, 1024, MOST};
  for (int n = 2; n <= MOST_RANKS; n++)
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
      for (int more = 0; more < 2; more++)
        for (int into = 0; into < 2 + more; into++) {
          struct sum_call call = {counts[c], more, into};
          if (c > 0 && c + 1 < sizeof counts / sizeof *counts && into) continue;
          begin(n);
          ranks_run(n, add, &call);
          check_sum(&call);
          end();
        }
}

// What one device adds has the same bits.
static void one_device_adds_the_same(void) {
  static float got[MOST];
  struct error error = {0};
  struct sum_call call = {MOST, true, 0};
  begin(3);
  float *other = get(0, sizeof earlier);
  for (int i = 0; i < 3; i++) {
    ops->upload(devices[0], other, parts[i], sizeof parts[i]);
    ops->mix(devices[0], MOST, before[0], 1, other, 1);
  }
  CHECK(ops->download(devices[0], got, before[0], sizeof got, &error));
  for (int64_t k = 0; k < MOST; k++)
    if (!CHECK(got[k] == in_order(k, call.more, false))) break;
  ops->free(devices[0], other);
  end();
}

static void gather(void *context, int rank) {
  size_t bytes = *(const size_t *)context;
  ops->group_gather(devices[rank], bytes, part[rank], sum[rank]);
}

static void gathers(void) {
  static char got[MOST * 4];
  struct error error = {0};
  for (size_t bytes = 1; bytes <= 257; bytes += 256) {
    begin(4);
    ranks_run(4, gather, &bytes);
    for (int rank = 0; rank < 4; rank++) {
      CHECK(ops->download(devices[rank], got, sum[rank], 4 * bytes, &error));
      for (int i = 0; i < 4; i++) CHECK(memcmp(got + (size_t)i * bytes, parts[i], bytes) == 0);
    }
    end();
  }
}

static void losses(void) {
  struct loss_sum all[5], got;
  struct error error = {0};
  double nats = 0;
  begin(2);
  for (int i = 0; i < 5; i++) {
    all[i] = (struct loss_sum){ldexp(1.0 / (3 + i), 20 * (i % 2)), 7 * i};
    nats = i ? nats + all[i].nats : all[i].nats;
  }
  ops->upload(devices[0], part[0], all, sizeof all);
  ops->add_losses(devices[0], 5, (struct loss_sum *)part[0], (struct loss_sum *)sum[0]);
  CHECK(ops->download(devices[0], &got, sum[0], sizeof got, &error));
  CHECK(got.nats == nats && got.targets == 70);
  end();
}

// Each round adds the parts to what is there; from the fourth on it is a graph that does.
enum { ROUNDS = 7 };
static void rounds(void *context, int rank) {
  (void)context;
  for (int round = 0; round < ROUNDS; round++) {
    ops->repeat_begin(devices[rank], 0);
    ops->group_sum(devices[rank], 300, before[rank], part[rank], before[rank]);
    ops->group_gather(devices[rank], 16, before[rank], sum[rank]);
    ops->repeat_end(devices[rank]);
  }
}

static void graphs(void) {
  static float got[300];
  struct error error = {0};
  begin(3);
  unsigned long long launched = isoloss_emulator_graph_launches();
  ranks_run(3, rounds, NULL);
  for (int rank = 0; rank < 3; rank++) {
    if (!CHECK(ops->download(devices[rank], got, before[rank], sizeof got, &error))) printf("# %s\n", error.text);
    for (int k = 0; k < 300; k++) {
      float want = earlier[k];
      for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 3; i++) want += parts[i][k];
      if (!CHECK(got[k] == want)) break;
    }
  }
  CHECK(isoloss_emulator_graph_launches() - launched == 3 * (ROUNDS - 1));
  end();
}

// ---- what goes wrong ----
enum fault {
  FAULT_COUNTS,
  FAULT_KINDS,
  FAULT_ABSENT,
  FAULT_REFUSED,
  FAULT_BROKEN,
  FAULT_LOST,
  FAULT_DEVICE,
  FAULT_MEMORY,
  FAULT_GRAPH_ABSENT,
  FAULTS
};
static const char *const said[FAULTS] = {
    [FAULT_COUNTS] = "ranks disagree in call 2: rank ",
    [FAULT_KINDS] = "ranks disagree in call 2: rank ",
    [FAULT_ABSENT] = "rank 1 did not come within 0.3 seconds: it has asked for 1 sums and gathers, this one for ",
    [FAULT_REFUSED] =
        "GPU 1 (rank 1 of 3): the transport between the GPUs refused a gather of 1024 bytes: unhandled "
        "system error",
    [FAULT_BROKEN] = "GPU 1 (rank 1 of 3): the transport between the GPUs failed: remote process exited",
    [FAULT_LOST] =
        "all ranks have asked for their sums and gathers, and what they asked for was not done within 0.3 "
        "seconds",
    [FAULT_DEVICE] = "token -1 in row 0 is not below the vocabulary of 4",
    [FAULT_MEMORY] = "are device 0's, and device 1 is the current one",
    [FAULT_GRAPH_ABSENT] = "rank 1 did not come within 0.3 seconds: it has asked for 5 sums and gathers",
};
struct fault_run {
  enum fault fault;
  struct error errors[MOST_RANKS];
  double seconds[MOST_RANKS];
};

static void go_wrong(void *context, int rank) {
  struct fault_run *run = context;
  struct device *d = devices[rank];
  enum fault fault = run->fault;
  bool wrong = rank == 1;
  int32_t token = -1;
  double begun = clock_seconds();
  for (int step = 0; fault == FAULT_GRAPH_ABSENT && step < (wrong ? 5 : 9); step++) {
    ops->repeat_begin(d, 0);
    ops->group_sum(d, 256, NULL, part[rank], sum[rank]);
    ops->repeat_end(d);
  }
  if (fault != FAULT_GRAPH_ABSENT) ops->group_sum(d, 256, NULL, part[rank], sum[rank]);
  if (wrong && (fault == FAULT_ABSENT || fault == FAULT_GRAPH_ABSENT)) return;
  if (wrong && fault == FAULT_DEVICE) {
    ops->upload(d, part[rank], &token, sizeof token);
    ops->embedding_forward(d, 1, 32, 4, (int32_t *)part[rank], before[rank], sum[rank]);
    ops->synchronize(d, &run->errors[rank]);  // the trainer would end here: the next call says so to the others
  }
  if (wrong && fault == FAULT_MEMORY) ops->copy(d, part[0], part[1], 64);
  if (wrong && fault == FAULT_KINDS)
    ops->group_gather(d, 256, part[rank], sum[rank]);
  else if (fault != FAULT_GRAPH_ABSENT)
    ops->group_sum(d, wrong && fault == FAULT_COUNTS ? 255 : 256, NULL, part[rank], sum[rank]);
  run->errors[rank] = (struct error){0};
  CHECK(!ops->synchronize(d, &run->errors[rank]));
  run->seconds[rank] = clock_seconds() - begun;
}

static void faults(void) {
  static const enum gather_fault planted[FAULTS] = {
      [FAULT_REFUSED] = GATHER_REFUSED, [FAULT_BROKEN] = GATHER_BROKEN, [FAULT_LOST] = GATHER_LOST};
  setenv("ISOLOSS_GROUP_TIMEOUT", "0.3", 1);
  for (int fault = 0; fault < FAULTS; fault++) {
    struct fault_run run = {.fault = (enum fault)fault};
    begin(3);
    isoloss_emulator_gather_fault(1, planted[fault]);
    ranks_run(3, go_wrong, &run);
    bool absent = fault == FAULT_ABSENT || fault == FAULT_GRAPH_ABSENT;
    for (int rank = 0; rank < 3; rank++) {
      if (absent && rank == 1) continue;
      if (!CHECK(strstr(run.errors[rank].text, said[fault]) != NULL) || !CHECK(run.errors[rank].code != EXIT_DONE))
        printf("# fault %d, rank %d: %s\n", fault, rank, run.errors[rank].text);
      CHECK(run.seconds[rank] < 60);
    }
    isoloss_emulator_gather_fault(1, GATHER_FINE);
    end();
    isoloss_emulator_forget_errors();
  }
  setenv("ISOLOSS_GROUP_TIMEOUT", "60", 1);
}

static void refusals(void) {
  struct error error = {0};
  begin(2);
  CHECK(ops->group_open(devices, 1, &error) == NULL);
  CHECK_TEXT(error.text, "a group of 1 devices: 2 to 64");
  error = (struct error){0};
  struct device *same[] = {devices[0], devices[0]};
  CHECK(ops->group_open(same, 2, &error) == NULL);
  CHECK_TEXT(error.text, "NCCL cannot connect 2 GPUs: invalid argument");
  setenv("ISOLOSS_GROUP_TIMEOUT", "soon", 1);
  error = (struct error){0};
  CHECK(ops->group_open(devices, 2, &error) == NULL);
  CHECK_TEXT(error.text, "ISOLOSS_GROUP_TIMEOUT=soon: a number of seconds above 0");
  unsetenv("ISOLOSS_GROUP_TIMEOUT");
  isoloss_emulator_capability(90);
  struct device *other = ops->open(&(struct device_options){.number = 1}, &error);
  isoloss_emulator_capability(80);
  struct device *unlike[] = {devices[0], other};
  error = (struct error){0};
  CHECK(ops->group_open(unlike, 2, &error) == NULL);
  CHECK(strstr(error.text, "are not alike: a run on several needs GPUs of one kind") != NULL);
  // A sum too large for no workspace at all, and one of a device in no group.
  ops->set_workspace(devices[0], NULL, 0);
  ops->group_sum(devices[0], 5, NULL, part[0], sum[0]);
  error = (struct error){0};
  CHECK(!ops->synchronize(devices[0], &error));
  CHECK(strstr(error.text, "a sum of devices needs a workspace of 512 bytes and has 0") != NULL);
  ops->group_sum(other, 5, NULL, part[1], sum[1]);
  error = (struct error){0};
  CHECK(!ops->synchronize(other, &error));
  CHECK_TEXT(error.text, "a device that is in no group has nobody to add up with");
  ops->close(other);
  end();
}

int main(void) {
  struct error error = {0};
  setenv("ISOLOSS_TRIALS", "off", 1);
  setenv("ISOLOSS_GROUP_TIMEOUT", "60", 0);
  ops = ops_find("cuda-emulated", &error);
  if (!ops) give_up(&error);
  RUN(sums_in_order);
  RUN(one_device_adds_the_same);
  RUN(gathers);
  RUN(losses);
  RUN(graphs);
  RUN(faults);
  RUN(refusals);
  return check_end();
}
