// See profile.h. The device that a model gets is the profile itself: the ops table is the only one who looks into
// a device, and this table knows its own.
#include "runner/bench/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bench_weight {
  const struct weight *weight;
  struct weight_description description;
};

static struct bench_profile *of(struct device *device) { return (struct bench_profile *)device; }

static const struct bench_profile *of_const(const struct device *device) {
  return (const struct bench_profile *)device;
}

struct device *bench_profile_device(struct bench_profile *profile) {
  return (struct device *)profile;
}

static const struct weight_description *weight_of(const struct bench_profile *profile, const struct weight *weight) {
  size_t i = 0;
  while (profile->weights[i].weight != weight) i++;
  return &profile->weights[i].description;
}

// ---- the account ----

static void end(struct bench_profile *p, double start, struct bench_call call) {
  struct error ignored = {0};
  p->inner->synchronize(p->inner_device, &ignored);  // the device keeps its error for whoever asks next
  double took = bench_now(p->bench) - start;
  if (p->next == p->count) {
    if (p->count == p->capacity) {
      p->capacity = p->capacity ? 2 * p->capacity : 256;
      p->calls = memory_grow(p->calls, p->capacity * sizeof *p->calls);
    }
    call.best = INFINITY;
    call.total = 0;
    call.repeats = 0;
    p->calls[p->count++] = call;
  }
  struct bench_call *kept = &p->calls[p->next++];
  kept->best = fmin(kept->best, took);
  kept->total += took;
  kept->repeats++;
}

void bench_profile_begin(struct bench_profile *profile) { profile->next = 0; }

static bool same(const struct bench_call *a, const struct bench_call *b) {
  return strcmp(a->name, b->name) == 0 && memcmp(a->size, b->size, sizeof a->size) == 0;
}

size_t bench_profile_names(const struct bench_profile *profile, const char **names) {
  size_t count = 0;
  for (size_t i = 0; i < profile->count; i++) {
    size_t known = 0;
    while (known < count && strcmp(names[known], profile->calls[i].name) != 0) known++;
    if (known == count) names[count++] = profile->calls[i].name;
  }
  return count;
}

double bench_profile_best(const struct bench_profile *profile, const char *name) {
  double sum = 0;
  for (size_t i = 0; i < profile->count; i++) {
    const struct bench_call *call = &profile->calls[i];
    if (name && strcmp(call->name, name) != 0) continue;
    double best = call->best;
    for (size_t k = 0; k < profile->count; k++)
      if (same(&profile->calls[k], call)) best = fmin(best, profile->calls[k].best);
    sum += best;
  }
  return sum;
}

static double start(const struct bench_profile *p) { return bench_now(p->bench); }

// ---- memory and weights ----

static void describe(const struct device *d, struct text *out) {
  of_const(d)->inner->describe(of_const(d)->inner_device, out);
}

static bool dtype_supported(const struct device *d, enum dtype dtype) {
  return of_const(d)->inner->dtype_supported(of_const(d)->inner_device, dtype);
}

static bool dtype_fast(const struct device *d, enum dtype dtype) {
  return of_const(d)->inner->dtype_fast(of_const(d)->inner_device, dtype);
}

static bool shape_supported(const struct device *d, enum op_kind kind, const struct op_shape *shape,
                            struct error *error) {
  return of_const(d)->inner->shape_supported(of_const(d)->inner_device, kind, shape, error);
}

static void *allocate(struct device *d, size_t bytes, struct error *error) {
  return of(d)->inner->allocate(of(d)->inner_device, bytes, error);
}

static void release(struct device *d, void *memory) { of(d)->inner->free(of(d)->inner_device, memory); }

static bool synchronize(struct device *d, struct error *error) {
  return of(d)->inner->synchronize(of(d)->inner_device, error);
}

static struct bench_call memory_call(size_t bytes) {
  return (struct bench_call){.name = BENCH_MEMORY, .size = {(int64_t)bytes}};
}

static void upload(struct device *d, void *to, const void *from, size_t bytes) {
  double began = start(of(d));
  of(d)->inner->upload(of(d)->inner_device, to, from, bytes);
  end(of(d), began, memory_call(bytes));
}

static bool download(struct device *d, void *to, const void *from, size_t bytes, struct error *error) {
  double began = start(of(d));
  bool fine = of(d)->inner->download(of(d)->inner_device, to, from, bytes, error);
  end(of(d), began, memory_call(bytes));
  return fine;
}

static void copy(struct device *d, void *to, const void *from, size_t bytes) {
  double began = start(of(d));
  of(d)->inner->copy(of(d)->inner_device, to, from, bytes);
  end(of(d), began, memory_call(2 * bytes));
}

static void clear(struct device *d, void *memory, size_t bytes) {
  double began = start(of(d));
  of(d)->inner->clear(of(d)->inner_device, memory, bytes);
  end(of(d), began, memory_call(bytes));
}

static void convert(struct device *d, int64_t count, enum dtype from_dtype, const void *from, enum dtype to_dtype,
                    void *to) {
  double began = start(of(d));
  of(d)->inner->convert(of(d)->inner_device, count, from_dtype, from, to_dtype, to);
  end(of(d), began, memory_call((size_t)count * (dtype_bytes(from_dtype) + dtype_bytes(to_dtype))));
}

static size_t workspace_bytes(const struct device *d, enum op_kind kind, const struct op_shape *shape) {
  return of_const(d)->inner->workspace_bytes(of_const(d)->inner_device, kind, shape);
}

static void set_workspace(struct device *d, void *memory, size_t bytes) {
  of(d)->inner->set_workspace(of(d)->inner_device, memory, bytes);
}

static size_t weight_bytes(const struct device *d, const struct weight_description *description) {
  return of_const(d)->inner->weight_bytes(of_const(d)->inner_device, description);
}

static struct weight *weight_create(struct device *d, const struct weight_description *description, void *memory,
                                    struct error *error) {
  struct bench_profile *p = of(d);
  struct weight *weight = p->inner->weight_create(p->inner_device, description, memory, error);
  if (!weight) return NULL;
  p->weights = memory_grow(p->weights, (p->weight_count + 1) * sizeof *p->weights);
  p->weights[p->weight_count++] = (struct bench_weight){weight, *description};
  return weight;
}

static void weight_free(struct device *d, struct weight *weight) {
  of(d)->inner->weight_free(of(d)->inner_device, weight);
}

static void weight_learned(struct device *d, struct weight *weight, float *values, float *d_values) {
  of(d)->inner->weight_learned(of(d)->inner_device, weight, values, d_values);
}

static void weights_prune(struct device *d, const struct pruned_weight *weights, int count, int64_t step) {
  double began = start(of(d));
  of(d)->inner->weights_prune(of(d)->inner_device, weights, count, step);
  end(of(d), began, (struct bench_call){.name = "weights prune", .size = {count}});
}

static void weight_prepare(struct device *d, struct weight *weight, const void *master, int64_t step) {
  const struct weight_description *w = weight_of(of(d), weight);
  int64_t outputs = w->outputs, inputs = w->inputs;
  double began = start(of(d));
  of(d)->inner->weight_prepare(of(d)->inner_device, weight, master, step);
  end(of(d), began, (struct bench_call){.name = "weight prepare", .size = {outputs, inputs}});
}

static void weight_gradient_finish(struct device *d, struct weight *weight, float *d_weight) {
  double began = start(of(d));
  of(d)->inner->weight_gradient_finish(of(d)->inner_device, weight, d_weight);
  end(of(d), began, (struct bench_call){.name = "weight gradient finish"});
}

// ---- linear layers and the head ----

static size_t linear_saved_bytes(const struct device *d, const struct weight_description *description, int64_t rows) {
  return of_const(d)->inner->linear_saved_bytes(of_const(d)->inner_device, description, rows);
}

static int64_t rows_at_a_time(const struct device *d, enum dtype dtype) {
  const struct bench_profile *p = of_const(d);
  return p->inner->rows_at_a_time ? p->inner->rows_at_a_time(p->inner_device, dtype) : 0;
}

static struct bench_call linear_call(struct device *d, const char *name, const struct linear *linear) {
  const struct weight_description *w = weight_of(of(d), linear->weight);
  return (struct bench_call){.name = name, .size = {linear->rows, w->outputs, w->inputs}};
}

static void linear_forward(struct device *d, const struct linear *linear, const void *x, void *saved, void *y) {
  double began = start(of(d));
  of(d)->inner->linear_forward(of(d)->inner_device, linear, x, saved, y);
  end(of(d), began, linear_call(d, "linear forward", linear));
}

static void linear_input_gradient(struct device *d, const struct linear *linear, const void *saved, const void *d_y,
                                  void *d_x) {
  double began = start(of(d));
  of(d)->inner->linear_input_gradient(of(d)->inner_device, linear, saved, d_y, d_x);
  end(of(d), began, linear_call(d, "linear input gradient", linear));
}

static void linear_weight_gradient(struct device *d, const struct linear *linear, const void *x, const void *saved,
                                   const void *d_y, float *d_weight, bool accumulate) {
  double began = start(of(d));
  of(d)->inner->linear_weight_gradient(of(d)->inner_device, linear, x, saved, d_y, d_weight, accumulate);
  end(of(d), began, linear_call(d, "linear weight gradient", linear));
}

static void head_loss(struct device *d, const struct head *head, const void *x, const int32_t *targets,
                      const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
                      bool accumulate) {
  const struct weight_description *w = weight_of(of(d), head->weight);
  double began = start(of(d));
  of(d)->inner->head_loss(of(d)->inner_device, head, x, targets, mask, sum, row_nats, d_x, d_weight, accumulate);
  end(of(d), began, (struct bench_call){.name = "head with loss", .size = {head->rows, w->outputs, w->inputs}});
}

static void head_evaluate(struct device *d, const struct head *head, const void *x, const int32_t *targets,
                          const uint8_t *mask, struct loss_sum *sum, float *row_nats) {
  of(d)->inner->head_evaluate(of(d)->inner_device, head, x, targets, mask, sum, row_nats);
}

// ---- blocks ----

static void embedding_forward(struct device *d, int64_t rows, int64_t width, int64_t vocabulary, const int32_t *tokens,
                              const float *table, float *residual) {
  double began = start(of(d));
  of(d)->inner->embedding_forward(of(d)->inner_device, rows, width, vocabulary, tokens, table, residual);
  end(of(d), began, (struct bench_call){.name = "embedding forward", .size = {rows, width}});
}

static void embedding_backward(struct device *d, int64_t rows, int64_t width, int64_t vocabulary, const int32_t *tokens,
                               const float *d_residual, float *d_table) {
  double began = start(of(d));
  of(d)->inner->embedding_backward(of(d)->inner_device, rows, width, vocabulary, tokens, d_residual, d_table);
  end(of(d), began, (struct bench_call){.name = "embedding backward", .size = {rows, width}});
}

static void rmsnorm_forward(struct device *d, int64_t rows, int64_t width, float eps, enum dtype dtype,
                            const float *residual_in, const void *branch, const float *scale, float *residual_out,
                            void *y, float *inverse_rms) {
  double began = start(of(d));
  of(d)->inner->rmsnorm_forward(of(d)->inner_device, rows, width, eps, dtype, residual_in, branch, scale, residual_out,
                                y, inverse_rms);
  end(of(d), began,
      (struct bench_call){.name = "rmsnorm forward", .size = {rows, width, branch != NULL, residual_out != NULL}});
}

static void rmsnorm_backward(struct device *d, int64_t rows, int64_t width, enum dtype dtype, const float *residual,
                             const float *inverse_rms, const float *scale, const void *d_y, const float *d_residual_out,
                             float *d_residual_in, void *d_branch, float *d_scale) {
  double began = start(of(d));
  of(d)->inner->rmsnorm_backward(of(d)->inner_device, rows, width, dtype, residual, inverse_rms, scale, d_y,
                                 d_residual_out, d_residual_in, d_branch, d_scale);
  end(of(d), began,
      (struct bench_call){.name = "rmsnorm backward", .size = {rows, width, d_branch != NULL, d_residual_out != NULL}});
}

static void rope_table(struct device *d, int64_t context, int64_t head_dim, double theta, float *table) {
  of(d)->inner->rope_table(of(d)->inner_device, context, head_dim, theta, table);
}

static struct bench_call qkv_call(const char *name, const struct attention *a) {
  return (struct bench_call){.name = name,
                             .size = {a->sequences * a->context, (a->heads + 2 * a->kv_heads) * a->head_dim}};
}

static void qkv_forward(struct device *d, const struct attention *shape, const void *qkv, const float *table, void *q,
                        void *k, void *v) {
  double began = start(of(d));
  of(d)->inner->qkv_forward(of(d)->inner_device, shape, qkv, table, q, k, v);
  end(of(d), began, qkv_call("qkv forward", shape));
}

static void qkv_backward(struct device *d, const struct attention *shape, const void *d_q, const void *d_k,
                         const void *d_v, const float *table, void *d_qkv) {
  double began = start(of(d));
  of(d)->inner->qkv_backward(of(d)->inner_device, shape, d_q, d_k, d_v, table, d_qkv);
  end(of(d), began, qkv_call("qkv backward", shape));
}

static struct bench_call attention_call(const char *name, const struct attention *a) {
  return (struct bench_call){.name = name, .size = {a->sequences, a->heads, a->context, a->head_dim}};
}

static void attention_forward(struct device *d, const struct attention *shape, const void *q, const void *k,
                              const void *v, void *o, float *log_sum) {
  double began = start(of(d));
  of(d)->inner->attention_forward(of(d)->inner_device, shape, q, k, v, o, log_sum);
  end(of(d), began, attention_call("attention forward", shape));
}

static void attention_backward(struct device *d, const struct attention *shape, const void *q, const void *k,
                               const void *v, const void *o, const float *log_sum, const void *d_o, void *d_q,
                               void *d_k, void *d_v) {
  double began = start(of(d));
  of(d)->inner->attention_backward(of(d)->inner_device, shape, q, k, v, o, log_sum, d_o, d_q, d_k, d_v);
  end(of(d), began, attention_call("attention backward", shape));
}

static void swiglu_forward(struct device *d, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                           void *y) {
  double began = start(of(d));
  of(d)->inner->swiglu_forward(of(d)->inner_device, rows, width, dtype, gate_up, y);
  end(of(d), began, (struct bench_call){.name = "swiglu forward", .size = {rows, width}});
}

static void swiglu_backward(struct device *d, int64_t rows, int64_t width, enum dtype dtype, const void *gate_up,
                            const void *d_y, void *d_gate_up, void *y) {
  double began = start(of(d));
  of(d)->inner->swiglu_backward(of(d)->inner_device, rows, width, dtype, gate_up, d_y, d_gate_up, y);
  end(of(d), began, (struct bench_call){.name = "swiglu backward", .size = {rows, width, y != NULL}});
}

// ---- optimizer ----

static void square_sum(struct device *d, const struct tensor_span *spans, int count, double *sum) {
  int64_t elements = 0;
  for (int i = 0; i < count; i++) elements += spans[i].count;
  double began = start(of(d));
  of(d)->inner->square_sum(of(d)->inner_device, spans, count, sum);
  end(of(d), began, (struct bench_call){.name = "square sum", .size = {elements}});
}

static void adamw_step(struct device *d, const struct adamw *adamw, const struct optimizer_tensor *tensors, int count,
                       const double *squares) {
  int64_t elements = 0;
  for (int i = 0; i < count; i++) elements += tensors[i].count;
  double began = start(of(d));
  of(d)->inner->adamw_step(of(d)->inner_device, adamw, tensors, count, squares);
  end(of(d), began, (struct bench_call){.name = "adamw", .size = {elements}});
}

static void momentum_step(struct device *d, const struct momentum *momentum, const struct optimizer_tensor *tensors,
                          int count, const double *squares) {
  int64_t elements = 0;
  for (int i = 0; i < count; i++) elements += tensors[i].count;
  double began = start(of(d));
  of(d)->inner->momentum_step(of(d)->inner_device, momentum, tensors, count, squares);
  end(of(d), began, (struct bench_call){.name = "momentum", .size = {elements}});
}

static void orthogonalize(struct device *d, int64_t rows, int64_t columns, int steps, float *x) {
  double began = start(of(d));
  of(d)->inner->orthogonalize(of(d)->inner_device, rows, columns, steps, x);
  end(of(d), began, (struct bench_call){.name = "orthogonalize", .size = {rows, columns, steps}});
}

static void normalize_rows(struct device *d, int64_t rows, int64_t columns, double beta2, float *v, float *x) {
  double began = start(of(d));
  of(d)->inner->normalize_rows(of(d)->inner_device, rows, columns, beta2, v, x);
  end(of(d), began, (struct bench_call){.name = "normalize rows", .size = {rows, columns}});
}

static void product(struct device *d, enum gemm_form form, int64_t m, int64_t n, int64_t k, const float *a,
                    const float *b, float *c, bool accumulate) {
  double began = start(of(d));
  of(d)->inner->product(of(d)->inner_device, form, m, n, k, a, b, c, accumulate);
  end(of(d), began, (struct bench_call){.name = "optimizer's product", .size = {m, n, k}});
}

static void mix(struct device *d, int64_t count, float *to, float keep, const float *from, float share) {
  double began = start(of(d));
  of(d)->inner->mix(of(d)->inner_device, count, to, keep, from, share);
  end(of(d), began, (struct bench_call){.name = "mix", .size = {count}});
}

static void gather(struct device *d, int64_t rows, int64_t columns, bool by_column, const int32_t *order,
                   const float *from, float *to) {
  double began = start(of(d));
  of(d)->inner->gather(of(d)->inner_device, rows, columns, by_column, order, from, to);
  end(of(d), began, (struct bench_call){.name = "gather", .size = {rows, columns}});
}

static void dct_basis(struct device *d, int64_t rows, int64_t columns, int64_t rank, enum dct_score score,
                      enum dct_path path, const float *x, int32_t *chosen, int32_t *came_from, float *basis) {
  double began = start(of(d));
  of(d)->inner->dct_basis(of(d)->inner_device, rows, columns, rank, score, path, x, chosen, came_from, basis);
  end(of(d), began, (struct bench_call){.name = "dct basis", .size = {rows, columns, rank}});
}

static void rotate_moments(struct device *d, int64_t rank, int64_t count, const float *rotation, double c1, double c2,
                           const float *m, const float *v, float *m_to, float *v_to) {
  double began = start(of(d));
  of(d)->inner->rotate_moments(of(d)->inner_device, rank, count, rotation, c1, c2, m, v, m_to, v_to);
  end(of(d), began, (struct bench_call){.name = "rotate moments", .size = {rank, count}});
}

static void orthonormalize(struct device *d, int64_t rank, int64_t side, float *x, const float *by, int32_t *order) {
  double began = start(of(d));
  of(d)->inner->orthonormalize(of(d)->inner_device, rank, side, x, by, order);
  end(of(d), began, (struct bench_call){.name = "orthonormalize", .size = {rank, side}});
}

static void eigenvectors(struct device *d, int64_t n, float *x, double exponent, double damping) {
  double began = start(of(d));
  of(d)->inner->eigenvectors(of(d)->inner_device, n, x, exponent, damping);
  end(of(d), began, (struct bench_call){.name = "eigenvectors", .size = {n}});
}

static void fill_normal(struct device *d, float *data, int64_t count, double std, uint64_t seed, uint32_t tensor) {
  of(d)->inner->fill_normal(of(d)->inner_device, data, count, std, seed, tensor);
}

static void fill_constant(struct device *d, float *data, int64_t count, float value) {
  of(d)->inner->fill_constant(of(d)->inner_device, data, count, value);
}

void bench_profile_open(struct bench_profile *profile, struct bench *bench) {
  // A model is made on a device that is open already: `open` and `close` are nobody's business here.
  *profile = (struct bench_profile){.bench = bench,
                                    .inner = bench->ops,
                                    .inner_device = bench->device,
                                    .ops = {.name = bench->ops->name,
                                            .describe = describe,
                                            .dtype_supported = dtype_supported,
                                            .dtype_fast = dtype_fast,
                                            .shape_supported = shape_supported,
                                            .allocate = allocate,
                                            .free = release,
                                            .upload = upload,
                                            .download = download,
                                            .copy = copy,
                                            .clear = clear,
                                            .synchronize = synchronize,
                                            .convert = convert,
                                            .workspace_bytes = workspace_bytes,
                                            .set_workspace = set_workspace,
                                            .rows_at_a_time = rows_at_a_time,
                                            .weight_bytes = weight_bytes,
                                            .weight_create = weight_create,
                                            .weight_free = weight_free,
                                            .weight_learned = weight_learned,
                                            .weights_prune = weights_prune,
                                            .weight_prepare = weight_prepare,
                                            .weight_gradient_finish = weight_gradient_finish,
                                            .linear_saved_bytes = linear_saved_bytes,
                                            .linear_forward = linear_forward,
                                            .linear_input_gradient = linear_input_gradient,
                                            .linear_weight_gradient = linear_weight_gradient,
                                            .embedding_forward = embedding_forward,
                                            .embedding_backward = embedding_backward,
                                            .rmsnorm_forward = rmsnorm_forward,
                                            .rmsnorm_backward = rmsnorm_backward,
                                            .rope_table = rope_table,
                                            .qkv_forward = qkv_forward,
                                            .qkv_backward = qkv_backward,
                                            .attention_forward = attention_forward,
                                            .attention_backward = attention_backward,
                                            .swiglu_forward = swiglu_forward,
                                            .swiglu_backward = swiglu_backward,
                                            .head_loss = head_loss,
                                            .head_evaluate = head_evaluate,
                                            .square_sum = square_sum,
                                            .adamw_step = adamw_step,
                                            .momentum_step = momentum_step,
                                            .orthogonalize = orthogonalize,
                                            .normalize_rows = normalize_rows,
                                            .product = product,
                                            .mix = mix,
                                            .gather = gather,
                                            .dct_basis = dct_basis,
                                            .rotate_moments = rotate_moments,
                                            .orthonormalize = orthonormalize,
                                            .eigenvectors = eigenvectors,
                                            .fill_normal = fill_normal,
                                            .fill_constant = fill_constant}};
}

void bench_profile_close(struct bench_profile *profile) {
  free(profile->calls);
  free(profile->weights);
  *profile = (struct bench_profile){0};
}
