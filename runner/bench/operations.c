// `isoloss bench ops`: every pass of every operation in kernels/cases, alone, on one instruction set level or on all.
// A case is timed on all levels and with its bare products in turns; all cases are gone through several times, so that
// a bad moment of the machine meets each of them only once.
#include "runner/bench/operations.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/isa.h"
#include "runner/bench/products.h"

// ---- shapes ----

static struct case_model model_of(const struct run_config *config) {
  const struct corpus_facts facts = {0};
  return (struct case_model){.sequences = config->train.batch_tokens / config->model.context,
                             .context = config->model.context,
                             .width = config->model.width,
                             .hidden = config->model.mlp_width,
                             .vocabulary = config->model.vocabulary,
                             .heads = config->model.heads,
                             .kv_heads = config->model.kv_heads,
                             .head_dim = config->model.head_dim,
                             .parameters = config_quantities(config, &facts).parameters.total};
}

static bool listed(const struct bench_operation *list, size_t count, const struct operation *operation,
                   const struct case_shape *shape) {
  for (size_t i = 0; i < count; i++)
    if (list[i].operation == operation && memcmp(list[i].shape.size, shape->size, sizeof shape->size) == 0) return true;
  return false;
}

size_t bench_operations(struct arena *arena, const struct run_config *config, struct bench_operation **list) {
  struct case_model model = model_of(config);
  enum dtype dtype = DTYPE_FLOAT32;
  dtype_find(config->model.dtype, &dtype);
  size_t count = 0;
  *list = arena_array(arena, operation_count * CASE_MODEL_SHAPES, sizeof **list);
  for (size_t i = 0; i < operation_count; i++) {
    struct case_shape shapes[CASE_MODEL_SHAPES];
    int shape_count = operations[i]->of_model ? operations[i]->of_model(&model, shapes) : 0;
    for (int s = 0; s < shape_count; s++)
      if (!listed(*list, count, operations[i], &shapes[s]))
        (*list)[count++] =
            (struct bench_operation){operations[i], shapes[s], operations[i]->one_dtype ? DTYPE_FLOAT32 : dtype};
  }
  return count;
}

// ---- levels ----

struct levels {
  int count;
  enum isa_level isa[ISA_LEVELS];
  struct device *devices[ISA_LEVELS];
};

// All that this CPU has, or the one that a device takes by itself. What was opened is released by levels_close in any
// case.
static bool levels_open(struct bench *bench, struct levels *levels, struct error *error) {
  enum isa_level chosen;
  if (!isa_choose(NULL, &chosen, error)) return false;
  for (enum isa_level isa = ISA_PORTABLE; isa < ISA_LEVELS; isa++) {
    if (bench->options.levels ? !isa_available(isa) : isa != chosen) continue;
    struct device_options options = {.threads = (int)bench->options.threads, .isa = isa_name(isa)};
    struct device *device = bench->ops->open(&options, error);
    if (!device) return false;
    levels->isa[levels->count] = isa;
    levels->devices[levels->count++] = device;
  }
  return true;
}

static void levels_close(struct bench *bench, struct levels *levels) {
  for (int i = 0; i < levels->count; i++) bench->ops->close(levels->devices[i]);
}

// ---- timing ----

// A pass of a case, by level.
struct timed_pass {
  struct case_cost cost[ISA_LEVELS];
  double best[ISA_LEVELS];  // seconds
  int64_t repeats[ISA_LEVELS];
};

struct timed {
  struct bench_operation what;
  const char *shape;          // as text
  struct timed_pass *passes;  // [what.operation->pass_count]
};

struct timing {
  struct bench *bench;
  struct levels levels;
  struct bench_products products;
  struct timed *cases;
  size_t count;
};

// The bare products of a pass.
static int products_of(const struct timed *timed, size_t pass, struct case_product *products) {
  const struct case_pass *p = &timed->what.operation->passes[pass];
  return p->products ? p->products(&timed->what.shape, products) : 0;
}

static bool time_products(struct timing *timing, const struct timed *timed, size_t pass, struct error *error) {
  struct case_product products[CASE_PRODUCTS];
  int count = products_of(timed, pass, products);
  for (int i = 0; i < count; i++) {
    const struct case_product *p = &products[i];
    int which = bench_products_find(&timing->products, p->form, p->m, p->n, p->k);
    if (!bench_product_time(&timing->products, which, error)) return false;
  }
  return true;
}

static bool time_pass(struct timing *timing, struct case_run *run, size_t pass, struct timed_pass *timed, int level,
                      struct error *error) {
  struct bench_burst burst = {0};
  while (bench_burst_on(&burst)) {
    double start = bench_now(timing->bench);
    case_run_pass(run, pass);
    if (!run->ops->synchronize(run->device, error)) return false;
    double took = bench_now(timing->bench) - start;
    timed->best[level] = fmin(timed->best[level], took);
    timed->repeats[level]++;
    burst.spent += took;
  }
  return true;
}

// Every pass once, in order: later ones need what earlier ones made, and the first time makes caches.
static bool begin(struct timing *timing, struct timed *timed, struct case_run *runs, struct error *error) {
  const struct operation *operation = timed->what.operation;
  for (int level = 0; level < timing->levels.count; level++)
    for (size_t pass = 0; pass < operation->pass_count; pass++) {
      case_run_pass(&runs[level], pass);
      if (!runs[level].ops->synchronize(runs[level].device, error)) return false;
      if (operation->passes[pass].cost) timed->passes[pass].cost[level] = operation->passes[pass].cost(&runs[level]);
    }
  return true;
}

static bool works(const struct case_cost *cost) { return cost->flops > 0 || cost->bytes > 0; }

static bool rounds(struct timing *timing, struct timed *timed, struct case_run *runs, const struct bench_budget *budget,
                   struct error *error) {
  struct bench *bench = timing->bench;
  double began = bench_now(bench);
  for (int round = 0; bench_again(budget, round, bench_now(bench) - began); round++) {
    for (size_t pass = 0; pass < timed->what.operation->pass_count; pass++) {
      for (int level = 0; level < timing->levels.count; level++)
        if (works(&timed->passes[pass].cost[level]) &&
            !time_pass(timing, &runs[level], pass, &timed->passes[pass], level, error))
          return false;
      if (!time_products(timing, timed, pass, error)) return false;
    }
    if (timing->products.count && !bench_peak(bench, timing->products.items[0].dtype, error)) return false;
  }
  return true;
}

static bool time_case(struct timing *timing, struct timed *timed, const struct bench_budget *budget,
                      struct error *error) {
  const struct bench_operation *what = &timed->what;
  const struct ops *ops = timing->bench->ops;
  struct op_case c;
  struct case_run runs[ISA_LEVELS];
  int opened = 0;
  bool fine = case_make(&c, what->operation, &what->shape, what->dtype, false, error);
  if (fine && what->operation->op_shape) {
    struct op_shape shape = what->operation->op_shape(&c);
    fine = ops->shape_supported(timing->bench->device, what->operation->kind, &shape, error);
  }
  while (fine && opened < timing->levels.count) {
    fine = case_run_open(&runs[opened], &c, ops, timing->levels.devices[opened], error);
    opened++;
  }
  if (fine && !timed->shape) timed->shape = arena_string(&timing->bench->arena, case_shape_text(&c));
  fine = fine && begin(timing, timed, runs, error) && rounds(timing, timed, runs, budget, error);
  while (opened > 0) case_run_close(&runs[--opened]);
  case_free(&c);
  return fine;
}

// ---- rows ----

static void add_row(struct timing *timing, const struct timed *timed, size_t pass, int level) {
  struct bench *bench = timing->bench;
  const struct timed_pass *of = &timed->passes[pass];
  struct case_cost cost = of->cost[level];
  const char *name = timed->what.operation->passes[pass].name, *format = timed->what.shape.format;
  if (format) name = arena_format(&bench->arena, "%s, %s", name, format);
  struct bench_row *row = bench_row_add(bench, name, cost.flops > 0 ? BENCH_GFLOPS : BENCH_GBYTES);
  double seconds = of->best[level], work = cost.flops > 0 ? cost.flops : cost.bytes;
  enum dtype dtype = timed->what.dtype;
  row->shape = timed->shape;
  row->sizes = timed->what.operation->sizes;
  row->dtype = dtype;
  row->level = isa_name(timing->levels.isa[level]);
  row->seconds = seconds;
  row->repeats = of->repeats[level];
  row->rate = work / seconds * 1e-9;
  row->peak_ratio = work / seconds / (cost.flops > 0 ? bench->peak[dtype].flops : bench_bandwidth(bench, cost.bytes));
  row->floor_ratio = bench_roofline(bench, dtype, cost.flops, cost.bytes) / seconds;
  struct case_product products[CASE_PRODUCTS];
  int count = products_of(timed, pass, products);
  double floor = 0;
  for (int i = 0; i < count; i++) {
    const struct case_product *p = &products[i];
    floor += p->count * bench_products_best(&timing->products, p->form, p->m, p->n, p->k);
  }
  if (count) row->products_ratio = floor / seconds;
}

static void add_rows(struct timing *timing) {
  for (size_t i = 0; i < timing->count; i++)
    for (size_t pass = 0; pass < timing->cases[i].what.operation->pass_count; pass++)
      for (int level = 0; level < timing->levels.count; level++)
        if (works(&timing->cases[i].passes[pass].cost[level])) add_row(timing, &timing->cases[i], pass, level);
}

// ---- all of it ----

// The cases of a step, nothing timed yet, and the operands of their bare products.
static bool prepare(struct timing *timing, const struct run_config *config, struct error *error) {
  struct arena *arena = &timing->bench->arena;
  struct bench_operation *list;
  timing->count = bench_operations(arena, config, &list);
  timing->cases = arena_array(arena, timing->count, sizeof *timing->cases);
  size_t pass_count = 0;
  for (size_t i = 0; i < timing->count; i++) {
    size_t passes = list[i].operation->pass_count;
    timing->cases[i] = (struct timed){.what = list[i], .passes = arena_array(arena, passes, sizeof(struct timed_pass))};
    for (size_t pass = 0; pass < passes; pass++)
      for (int level = 0; level < ISA_LEVELS; level++) timing->cases[i].passes[pass].best[level] = INFINITY;
    pass_count += passes;
  }
  timing->products.items = arena_array(arena, pass_count * CASE_PRODUCTS, sizeof *timing->products.items);
  for (size_t i = 0; i < timing->count; i++)
    for (size_t pass = 0; pass < list[i].operation->pass_count; pass++) {
      struct case_product products[CASE_PRODUCTS];
      int count = products_of(&timing->cases[i], pass, products);
      for (int k = 0; k < count; k++)
        bench_products_add(&timing->products, products[k].form, products[k].m, products[k].n, products[k].k,
                           list[i].dtype, products[k].count);
    }
  return bench_products_open(timing->bench, &timing->products, error);
}

bool bench_ops(struct bench *bench, struct error *error) {
  const struct run_config *models[BENCH_MODELS];
  int count;
  enum dtype dtype;
  if (!bench_dtype(bench, &dtype, error) || !bench_models(bench, models, &count, error) ||
      !bench_peak(bench, dtype, error))
    return false;
  // Of a ladder, the operations of its largest model.
  const struct run_config *config = models[count - 1];
  bench_progress(bench, "operations of a step of %lld x %lld, %s", (long long)config->model.layers,
                 (long long)config->model.width, config->model.dtype);
  struct timing timing = {.bench = bench};
  bool fine = levels_open(bench, &timing.levels, error) && prepare(&timing, config, error);
  const int sweeps = bench->options.quick ? 1 : 4;
  const double seconds = (bench->options.quick ? 0.3 : 12) * timing.levels.count;
  struct bench_budget budget = {fine ? seconds / (sweeps * (double)timing.count) : 0, 2, 400};
  for (int sweep = 0; sweep < sweeps && fine; sweep++)
    for (size_t i = 0; i < timing.count && fine; i++) fine = time_case(&timing, &timing.cases[i], &budget, error);
  if (fine) add_rows(&timing);
  if (timing.products.bench) bench_products_close(&timing.products);
  levels_close(bench, &timing.levels);
  return fine;
}
