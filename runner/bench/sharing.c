// What runs lose by sharing a machine: the same step in several processes at once, against as many floors at once, and
// one step on as many threads.
//
// One process for each run, as the scheduler has it, made before anything is timed and told what to do through a
// socket. A round is, in turns: a step alone, steps in all processes at once, a floor alone, floors at once, a step on
// several threads. What is compared is of equal length and taken within seconds; the best round of each counts.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/bench/model.h"

enum order_kind { ORDER_STEP, ORDER_FLOOR, ORDER_READY };
struct order {
  enum order_kind kind;
  int repeats;
};
struct answer {
  bool fine;
  struct error error;
  double seconds, wall;  // of one step or floor, mean of the repeats
};

struct worker {
  pid_t pid;
  int socket;
};

static bool transfer(int socket, void *bytes, size_t length, bool out) {
  for (size_t at = 0; at < length;) {
    ssize_t moved = out ? send(socket, (char *)bytes + at, length - at, MSG_NOSIGNAL)
                        : recv(socket, (char *)bytes + at, length - at, 0);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return false;
    at += (size_t)moved;
  }
  return true;
}

// ---- in a worker ----

static void carry_out(struct bench_model *m, const struct order *order, struct answer *answer) {
  double start = bench_now(m->bench), wall_start = clock_seconds();
  answer->fine = true;
  for (int i = 0; i < order->repeats && answer->fine; i++)
    answer->fine = order->kind == ORDER_STEP ? bench_model_step(m, NULL, NULL, &answer->error)
                                             : bench_products_pass(&m->products, &answer->error);
  answer->seconds = (bench_now(m->bench) - start) / order->repeats;
  answer->wall = (clock_seconds() - wall_start) / order->repeats;
}

// Never returns: ends with its socket.
static void work(int socket, const struct bench_options *options, const struct run_config *config) {
  struct bench bench = {0};
  struct bench_model m = {0};
  struct answer ready = {0};
  struct order order;
  ready.fine = bench_open(&bench, options, &ready.error) && bench_model_open(&m, &bench, config, &ready.error);
  while (transfer(socket, &order, sizeof order, false)) {
    struct answer answer = ready;
    if (ready.fine && order.kind != ORDER_READY) carry_out(&m, &order, &answer);
    if (!transfer(socket, &answer, sizeof answer, true)) break;
  }
  bench_model_close(&m);
  bench_close(&bench);
  _exit(0);
}

// ---- in the one who asks ----

static void worker_end(struct worker *worker) {
  if (worker->pid <= 0) return;
  close(worker->socket);
  while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR) continue;
  worker->pid = 0;
}

static bool worker_start(struct worker *worker, const struct worker *others, int other_count,
                         const struct bench_options *options, const struct run_config *config, struct error *error) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return error_set_errno(error, EXIT_ENVIRONMENT, "bench: cannot make a socket");
  worker->pid = fork();
  if (worker->pid < 0) {
    close(ends[0]);
    close(ends[1]);
    return error_set_errno(error, EXIT_ENVIRONMENT, "bench: cannot start a process");
  }
  if (worker->pid == 0) {
    close(ends[0]);
    for (int i = 0; i < other_count; i++) close(others[i].socket);
    work(ends[1], options, config);
  }
  close(ends[1]);
  worker->socket = ends[0];
  return true;
}

// The order for all these workers at once; their mean.
static bool ask(const struct worker *workers, int count, enum order_kind kind, int repeats, struct answer *mean,
                struct error *error) {
  struct order order = {.kind = kind, .repeats = repeats};
  bool fine = true;
  *mean = (struct answer){.fine = true};
  for (int i = 0; i < count; i++) fine = transfer(workers[i].socket, &order, sizeof order, true) && fine;
  for (int i = 0; i < count; i++) {
    struct answer answer = {0};
    if (!transfer(workers[i].socket, &answer, sizeof answer, false))
      fine = error_set(error, EXIT_ENVIRONMENT, "bench: a process that was timed has died");
    else if (!answer.fine)
      fine = error_set(error, answer.error.code, "%s", answer.error.text);
    mean->seconds += answer.seconds / count;
    mean->wall += answer.wall / count;
  }
  return fine;
}

enum measured { STEP_ALONE, STEPS, FLOOR_ALONE, FLOORS, STEP_THREADS, MEASURED };
struct best {
  double seconds, wall;
};

static void add_rows(struct bench *bench, const struct run_config *config, const struct run_config *threaded,
                     const struct best best[MEASURED], int rounds) {
  double tokens = (double)config->train.batch_tokens, processes = (double)bench->options.processes;
  struct corpus_facts facts = {0};
  double flops = config_quantities(config, &facts).flops_per_token;
  enum dtype dtype = DTYPE_FLOAT32;
  dtype_find(config->model.dtype, &dtype);
  double peak = bench->peak[dtype].flops;
  double ratio_alone = best[FLOOR_ALONE].seconds / best[STEP_ALONE].seconds,
         ratio = best[FLOORS].seconds / best[STEPS].seconds;
  struct bench_row *row = bench_row_add(bench, "step", BENCH_TOKENS);
  row->model = config;
  row->rate = tokens / best[STEP_ALONE].seconds;
  row->seconds = best[STEP_ALONE].seconds;
  row->wall_rate = tokens / best[STEP_ALONE].wall;
  row->floor_rate = tokens / best[FLOOR_ALONE].seconds;
  row->floor_ratio = ratio_alone;

  row = bench_row_add(bench, "steps at once", BENCH_TOKENS);
  row->model = config;
  row->processes = bench->options.processes;
  row->rate = processes * tokens / best[STEPS].seconds;
  row->seconds = best[STEPS].seconds;
  row->wall_rate = processes * tokens / best[STEPS].wall;
  row->floor_rate = processes * tokens / best[FLOORS].seconds;
  row->floor_ratio = ratio;
  row->loss_by_sharing = 1 - ratio / ratio_alone;
  row->wall_loss_by_sharing =
      1 - best[FLOORS].wall / best[STEPS].wall / (best[FLOOR_ALONE].wall / best[STEP_ALONE].wall);

  row = bench_row_add(bench, "step on threads", BENCH_TOKENS);
  row->model = threaded;
  row->threads = bench->options.processes;
  row->rate = row->wall_rate = tokens / best[STEP_THREADS].wall;
  row->seconds = best[STEP_THREADS].wall;
  for (size_t i = bench->count - 3; i < bench->count; i++) {
    row = &bench->rows[i];
    row->dtype = dtype;
    row->repeats = rounds;
    row->whole_step_floor_ratio = row->floor_ratio;  // whole steps against whole floors
    row->peak_ratio = row->rate * flops / peak / processes;
    if (i == bench->count - 3) row->peak_ratio = row->rate * flops / peak;
  }
}

static bool share(struct bench *bench, const struct run_config *config, struct error *error) {
  int processes = (int)bench->options.processes;
  struct run_config *threaded = arena_alloc(&bench->arena, sizeof *threaded);
  *threaded = *config;
  threaded->train.threads = processes;
  struct bench_options one = bench->options, several = bench->options;
  several.threads = processes;
  // The last worker is the run on several threads.
  struct worker *workers = arena_array(&bench->arena, (size_t)processes + 1, sizeof *workers);
  bool fine = true;
  for (int i = 0; i <= processes && fine; i++)
    fine = worker_start(&workers[i], workers, i, i < processes ? &one : &several, i < processes ? config : threaded,
                        error);
  struct answer got;
  fine = fine && ask(workers, processes + 1, ORDER_READY, 1, &got, error);
  const double window = bench->options.quick ? 0.02 : 0.3;
  int steps = 1;
  if (fine && (fine = ask(workers, 1, ORDER_STEP, 1, &got, error))) steps += (int)(window / got.seconds);
  struct best best[MEASURED];
  for (int i = 0; i < MEASURED; i++) best[i] = (struct best){INFINITY, INFINITY};
  struct bench_budget budget =
      bench->options.quick ? (struct bench_budget){0.3, 2, 100} : (struct bench_budget){40, 6, 100};
  int rounds = 0;
  for (double began = clock_seconds(); fine && bench_again(&budget, rounds, clock_seconds() - began); rounds++) {
    const struct {
      int first, count;
      enum order_kind kind;
    } orders[MEASURED] = {[STEP_ALONE] = {0, 1, ORDER_STEP},
                          [STEPS] = {0, processes, ORDER_STEP},
                          [FLOOR_ALONE] = {0, 1, ORDER_FLOOR},
                          [FLOORS] = {0, processes, ORDER_FLOOR},
                          [STEP_THREADS] = {processes, 1, ORDER_STEP}};
    for (int i = 0; i < MEASURED && fine; i++) {
      fine = ask(workers + orders[i].first, orders[i].count, orders[i].kind, steps, &got, error);
      best[i].seconds = fmin(best[i].seconds, got.seconds);
      best[i].wall = fmin(best[i].wall, got.wall);
    }
    enum dtype dtype = DTYPE_FLOAT32;
    dtype_find(config->model.dtype, &dtype);
    fine = fine && bench_peak(bench, dtype, error);
  }
  for (int i = 0; i <= processes; i++) worker_end(&workers[i]);
  if (fine) add_rows(bench, config, threaded, best, rounds);
  return fine;
}

bool bench_sharing(struct bench *bench, struct error *error) {
  const struct run_config *models[BENCH_MODELS];
  int count;
  bool fine = bench_models(bench, models, &count, error);
  for (int i = 0; i < count && fine; i++) {
    bench_progress(bench, "step %lld x %lld, %s, %lld at once", (long long)models[i]->model.layers,
                   (long long)models[i]->model.width, models[i]->model.dtype, (long long)bench->options.processes);
    fine = share(bench, models[i], error);
  }
  return fine;
}
