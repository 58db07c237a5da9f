// See time.h.
#include "runner/plan/time.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "results/store.h"
#include "runner/plan/memo.h"
#include "trainer/model.h"

enum {
  PROBES = 3,           // model sizes timed: the smallest, a middle one, the largest that is small enough
  SAMPLED_RUNS = 1000,  // of a large plan, to find them
};
static const int probe_limit_ms = 60000;         // a child that says nothing for so long is ended
static const double most_probe_flops = 2e10;     // a second or so on a slow core
static const double evaluation_share = 1.0 / 3;  // a forward pass, of a training step's work

// What was measured: how much a token costs and how fast the work goes, both as logarithms.
struct probe {
  double size, rate;  // log FLOP per token, log FLOP/s
};

struct plan_speed {
  struct store *store;  // NULL: none, or nothing in it
  const char *backend;
  struct probe probes[PROBES];
  int probe_count;
  bool probed;
  int ended;          // the signal that ended a child which timed steps; 0: none
  struct memo rates;  // tokens per second
  size_t from_store, from_probes;
  const struct plan *plan;
  char source[160];
};

// FLOP/s of training steps of this model on noise, or NAN when it cannot be made here.
static double time_steps_here(const struct plan *plan, const struct run_config *resolved,
                              const struct run_quantities *quantities) {
  struct run_config config = *resolved;
  struct error ignored = {0};
  double affordable = most_probe_flops / quantities->flops_per_token;
  int64_t sequences = config.train.batch_tokens / config.train.accumulation / config.model.context;
  int64_t most = (int64_t)(affordable / (double)config.model.context);
  if (sequences > most) sequences = most;
  if (sequences < 1) sequences = 1;
  int64_t rows = sequences * config.model.context;
  config.train.batch_tokens = rows;
  config.train.accumulation = 1;
  struct model *model = model_create(plan->ops, plan->device, &config, MODEL_TRAIN, &ignored);
  if (!model) return NAN;
  model_initialise(model, 0);
  int32_t *tokens = memory_get((size_t)rows * 2 * sizeof *tokens);
  for (int64_t i = 0; i < rows * 2; i++)
    tokens[i] = (int32_t)((uint64_t)(i + 1) * 2654435761u % (uint64_t)config.model.vocabulary);
  struct token_batch batch = {.rows = rows, .tokens = tokens, .targets = tokens + rows};
  struct loss_sum sum;
  double norm, best = INFINITY, start = clock_seconds();
  bool fine = true;
  for (int64_t step = 0; fine && step < 8 && (step < 2 || clock_seconds() - start < 0.25); step++) {
    double before = clock_seconds();
    model_step(model, &batch, rows, 1e-4, step, 0);
    fine = model_results(model, 1, &sum, &norm, &ignored);
    double took = clock_seconds() - before;
    if (step && took < best) best = took;  // the first one makes caches
  }
  free(tokens);
  model_free(model);
  return fine ? quantities->flops_per_token * (double)rows / best : NAN;
}

struct timing {
  const struct plan *plan;
  const struct run_config *resolved;
  const struct run_quantities *quantities;
  double rate;
};

static void *time_steps_anew(void *timing) {
  struct timing *t = timing;
  t->rate = time_steps_here(t->plan, t->resolved, t->quantities);
  return NULL;
}

// In the child. On a thread of its own: OpenMP keeps a pool for each thread that has one, and this thread's was left
// behind in the parent.
static enum exit_code time_steps_apart(struct timing *timing, int out) {
  pthread_t thread;
  FILE *score = fopen("/proc/self/oom_score_adj", "we");  // the first to go
  if (score) {
    fputs("1000", score);
    fclose(score);
  }
  if (pthread_create(&thread, NULL, time_steps_anew, timing) || pthread_join(thread, NULL)) return EXIT_ENVIRONMENT;
  return write(out, &timing->rate, sizeof timing->rate) == sizeof timing->rate ? EXIT_DONE : EXIT_ENVIRONMENT;
}

// The same in a child, which the system may kill for its memory, and which a fault of a kernel ends: then NAN, and
// *ended is the signal. Where there can be no child, here.
static double time_steps(const struct plan *plan, const struct run_config *resolved,
                         const struct run_quantities *quantities, int *ended) {
  int ends[2], status;
  double rate = NAN;
  if (pipe2(ends, O_CLOEXEC)) return time_steps_here(plan, resolved, quantities);
  pid_t child = fork();
  if (child == 0) _exit(time_steps_apart(&(struct timing){plan, resolved, quantities, NAN}, ends[1]));
  close(ends[1]);
  struct pollfd answer = {.fd = ends[0], .events = POLLIN};
  if (child < 0) {
    close(ends[0]);
    return time_steps_here(plan, resolved, quantities);
  }
  if (poll(&answer, 1, probe_limit_ms) == 0) kill(child, SIGKILL);
  if (read(ends[0], &rate, sizeof rate) != sizeof rate) rate = NAN;
  close(ends[0]);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFSIGNALED(status)) *ended = WTERMSIG(status);
  return rate;
}

static int by_cost(const void *a, const void *b) {
  const struct planned_run *x = a, *y = b;
  return x->quantities.flops_per_token < y->quantities.flops_per_token   ? -1
         : x->quantities.flops_per_token > y->quantities.flops_per_token ? 1
                                                                         : 0;
}

static void probe(struct plan_speed *speed) {
  const struct plan *plan = speed->plan;
  speed->probed = true;
  size_t count = plan->count < SAMPLED_RUNS ? plan->count : SAMPLED_RUNS, kept = 0;
  struct planned_run *runs = memory_get(count * sizeof *runs);
  for (size_t i = 0; i < count; i++) {
    size_t which = count == plan->count ? i : (size_t)((double)i * (double)plan->count / (double)count);
    struct plan quick = *plan;
    quick.speed = NULL;
    plan_run_quick(&quick, which, &runs[kept]);
    const struct planned_run *run = &runs[kept];
    double least = run->quantities.flops_per_token * (double)run->config.model.context;
    if (run->resolved && least <= most_probe_flops && run->memory < 1e9) kept++;
  }
  qsort(runs, kept, sizeof *runs, by_cost);
  size_t wanted[PROBES] = {0, kept / 2, kept ? kept - 1 : 0};
  for (int p = 0; p < PROBES && kept; p++) {
    const struct planned_run *run = &runs[wanted[p]];
    double size = log(run->quantities.flops_per_token);
    if (speed->probe_count && size < speed->probes[speed->probe_count - 1].size + 0.1) continue;
    double rate = time_steps(plan, &run->config, &run->quantities, &speed->ended);
    if (isfinite(rate)) speed->probes[speed->probe_count++] = (struct probe){size, log(rate)};
  }
  free(runs);
}

// Tokens per second by the probes: FLOP/s interpolated in the logarithm, constant beyond the ends.
static double probed_rate(const struct plan_speed *speed, double flops_per_token) {
  double size = log(flops_per_token);
  int n = speed->probe_count;
  if (!n) return NAN;
  const struct probe *p = speed->probes;
  double rate = p[n - 1].rate;
  if (size <= p[0].size) rate = p[0].rate;
  for (int i = 1; i < n; i++)
    if (size > p[i - 1].size && size <= p[i].size)
      rate = p[i - 1].rate + (p[i].rate - p[i - 1].rate) * (size - p[i - 1].size) / (p[i].size - p[i - 1].size);
  return exp(rate) / flops_per_token;
}

// What a speed depends on: the work per token stands for the model's shape, and the table of fields knows the rest.
static uint64_t speed_key(const struct run_config *config, double flops_per_token) {
  double numbers[] = {flops_per_token, (double)config->train.threads, (double)config->train.batch_tokens};
  uint64_t key = hash64(numbers, sizeof numbers, 0);
  key = hash64(config->format, strlen(config->format), key);
  key = hash64(config->model.dtype, strlen(config->model.dtype), key);
  struct text settings = {0};
  config_speed_settings(config, &settings);
  key = hash64(text_string(&settings), settings.length, key);
  text_free(&settings);
  return key;
}

static double tokens_per_second(struct plan_speed *speed, const struct run_config *config, double flops_per_token) {
  uint64_t key = speed_key(config, flops_per_token);
  double rate = NAN;
  if (memo_find(&speed->rates, key, &rate)) return rate;
  struct error ignored = {0};
  bool stored =
      speed->store && store_throughput_estimate(speed->store, speed->backend, config, flops_per_token, &rate, &ignored);
  if (!stored) {
    if (!speed->probed) probe(speed);
    rate = probed_rate(speed, flops_per_token);
  }
  *(stored ? &speed->from_store : &speed->from_probes) += 1;
  memo_put(&speed->rates, key, rate);
  return rate;
}

double plan_seconds(struct plan_speed *speed, const struct run_config *resolved,
                    const struct run_quantities *quantities, const struct corpus_facts *facts) {
  double rate = tokens_per_second(speed, resolved, quantities->flops_per_token);
  double most = facts->known && facts->validation_tokens > 0 ? (double)facts->validation_tokens : INFINITY;
  double evaluated = (double)resolved->train.evals * fmin((double)resolved->train.eval_tokens, most) +
                     fmin((double)resolved->train.final_eval_tokens, most);
  return ((double)quantities->tokens + evaluation_share * evaluated) / rate;
}

double plan_forward_seconds(struct plan_speed *speed, const struct run_config *resolved,
                            const struct run_quantities *quantities, double tokens) {
  return evaluation_share * tokens / tokens_per_second(speed, resolved, quantities->flops_per_token);
}

struct plan_speed *plan_speed_new(const struct plan *plan) {
  struct plan_speed *speed = memory_get(sizeof *speed);
  struct error ignored = {0};
  speed->plan = plan;
  speed->backend = plan->ops->name;
  if (store_exists_home()) speed->store = store_open_home(STORE_READ, &ignored);
  return speed;
}

void plan_speed_free(struct plan_speed *speed) {
  if (!speed) return;
  store_close(speed->store);
  memo_free(&speed->rates);
  free(speed);
}

const char *plan_speed_source(const struct plan_speed *speed) {
  if (speed->from_store && speed->from_probes) return "measured speeds of this host, and a few steps timed just now";
  if (speed->from_store) return "measured speeds of this host";
  if (speed->ended && !speed->probe_count) return "not known: the process that timed a few steps was killed";
  if (!speed->probe_count) return "";
  if (speed->from_probes) return "rough: a few steps timed just now";
  return "";
}
