// Times every op of a training step of a Llama-type model, and the floor: oneDNN's bare matrix products of the same
// step (attention's counted in full, though causal ones need half). One thread, processor time, best of several rounds,
// so that other work on the machine disturbs little.
//   bench_kernels_step [layers width [vocabulary [context [batch [dtype]]]]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "kernels/cpu/gemm.h"
#include "kernels/kernels.h"

static const struct ops *ops;
static struct device *device;
static struct error error;

struct model {
  int64_t layers, width, heads, head_dim, hidden, vocabulary, context, batch, rows;
  enum dtype dtype;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}
static void *get(enum dtype dtype, int64_t count) {
  size_t bytes = (size_t)count * dtype_bytes(dtype);
  float *from = memory_get((size_t)count * sizeof *from);
  void *memory = ops->allocate(device, bytes, &error);
  if (!memory) exit(fprintf(stderr, "%s\n", error.text));
  ops->fill_normal(device, from, count, 0.5, 1, 1);
  ops->convert(device, count, DTYPE_FLOAT32, from, dtype, memory);
  free(from);
  return memory;
}

// What is timed: a function of the buffers below, how often a step does it, and its bare products.
static struct {
  struct model m;
  struct attention attention;
  float *residual, *d_residual, *scale, *d_scale, *inverse, *log_sum, *table, *embedding, *d_embedding, *m1, *m2;
  void *x, *y, *qkv, *q, *k, *v, *o, *d_o, *d_q, *d_k, *d_v, *gate_up, *d_gate_up, *hidden, *d_hidden;
  struct weight *w_qkv, *w_o, *w_gate_up, *w_down, *w_head;
  float *d_weight;
  int32_t *tokens;
  struct loss_sum loss;
  int64_t parameters;
  double squares;
} s;

static struct weight *weight(int64_t outputs, int64_t inputs) {
  struct weight_description description = {.outputs = outputs, .inputs = inputs, .dtype = s.m.dtype};
  void *memory = ops->allocate(device, ops->weight_bytes(device, &description), &error);
  struct weight *made = ops->weight_create(device, &description, memory, &error);
  if (!made) exit(fprintf(stderr, "%s\n", error.text));
  ops->weight_prepare(device, made, get(DTYPE_FLOAT32, outputs * inputs), 1);
  return made;
}
static struct linear layer(struct weight *of) {
  return (struct linear){.weight = of, .rows = s.m.rows, .dtype = s.m.dtype};
}
static void norm_forward(void) {
  ops->rmsnorm_forward(device, s.m.rows, s.m.width, 1e-5f, s.m.dtype, s.residual, s.x, s.scale, s.d_residual, s.y,
                       s.inverse);
}
static void norm_backward(void) {
  ops->rmsnorm_backward(device, s.m.rows, s.m.width, s.m.dtype, s.residual, s.inverse, s.scale, s.y, s.d_residual,
                        s.d_residual, s.m.dtype == DTYPE_FLOAT32 ? NULL : s.x, s.d_scale);
}
static void qkv_forward(void) { ops->qkv_forward(device, &s.attention, s.qkv, s.table, s.q, s.k, s.v); }
static void qkv_backward(void) { ops->qkv_backward(device, &s.attention, s.d_q, s.d_k, s.d_v, s.table, s.qkv); }
static void attention_forward(void) { ops->attention_forward(device, &s.attention, s.q, s.k, s.v, s.o, s.log_sum); }
static void attention_backward(void) {
  ops->attention_backward(device, &s.attention, s.q, s.k, s.v, s.o, s.log_sum, s.d_o, s.d_q, s.d_k, s.d_v);
}
static void swiglu_forward(void) { ops->swiglu_forward(device, s.m.rows, s.m.hidden, s.m.dtype, s.gate_up, s.hidden); }
static void swiglu_backward(void) {
  ops->swiglu_backward(device, s.m.rows, s.m.hidden, s.m.dtype, s.gate_up, s.d_hidden, s.d_gate_up, NULL);
}
static void linear_all(struct weight *of, const void *x, void *y, int which) {
  struct linear l = layer(of);
  if (which == 0) ops->linear_forward(device, &l, x, NULL, y);
  if (which == 1) ops->linear_input_gradient(device, &l, NULL, y, (void *)(uintptr_t)x);
  if (which == 2) ops->linear_weight_gradient(device, &l, x, NULL, y, s.d_weight, false);
}
static void qkv_linear(void) {
  for (int which = 0; which < 3; which++) linear_all(s.w_qkv, s.x, s.qkv, which);
}
static void o_linear(void) {
  for (int which = 0; which < 3; which++) linear_all(s.w_o, s.o, s.y, which);
}
static void gate_up_linear(void) {
  for (int which = 0; which < 3; which++) linear_all(s.w_gate_up, s.x, s.d_gate_up, which);
}
static void down_linear(void) {
  for (int which = 0; which < 3; which++) linear_all(s.w_down, s.hidden, s.y, which);
}
static void head_loss(void) {
  struct head head = {.weight = s.w_head, .rows = s.m.rows, .dtype = s.m.dtype, .gradient_scale = 1e-4f};
  ops->head_loss(device, &head, s.x, s.tokens, NULL, &s.loss, NULL, s.y, s.d_embedding, true);
}
static void embedding(void) {
  ops->embedding_forward(device, s.m.rows, s.m.width, s.m.vocabulary, s.tokens, s.embedding, s.residual);
  ops->embedding_backward(device, s.m.rows, s.m.width, s.m.vocabulary, s.tokens, s.d_residual, s.d_embedding);
}
static void optimizer(void) {
  struct tensor_span span = {s.d_embedding, s.parameters};
  struct adamw adamw = {.lr = 1e-4,
                        .beta1 = 0.9,
                        .beta2 = 0.95,
                        .eps = 1e-8,
                        .weight_decay = 0.1,
                        .step = 100,
                        .gradient_scale = 1,
                        .clip_norm = 1};
  struct optimizer_tensor tensor = {s.embedding, s.d_embedding, s.m1, s.m2, s.parameters, true};
  ops->square_sum(device, &span, 1, &s.squares);
  ops->adamw_step(device, &adamw, &tensor, 1, &s.squares);
  ops->clear(device, s.d_embedding, (size_t)s.parameters * sizeof(float));
}
static void prepare(void) {
  struct weight *all[] = {s.w_qkv, s.w_o, s.w_gate_up, s.w_down};
  for (int i = 0; i < 4; i++) ops->weight_prepare(device, all[i], s.embedding, 2);
}
static void prepare_head(void) { ops->weight_prepare(device, s.w_head, s.embedding, 2); }

// Seconds of one run: the best of some rounds.
static double best_of(void (*run)(void)) {
  run();
  double best = 1e30, spent = 0;
  for (int round = 0; round < 20 && (spent < 0.6 || round < 3); round++) {
    double start = now();
    run();
    double took = now() - start;
    spent += took;
    if (took < best) best = took;
  }
  return best;
}

// Seconds of one run of an op, and of the bare products of rows x inputs by inputs x outputs in their three forms, each
// product at its best. The two are timed in turns, so that both see the same machine.
struct pair {
  double op, bare;
};
static struct pair against_bare(void (*run)(void), struct gemm_context *context, int64_t rows, int64_t inputs,
                                int64_t outputs) {
  enum dtype dtype = s.m.dtype;
  void *x = get(dtype, rows * inputs), *w = get(dtype, inputs * outputs), *y = get(dtype, rows * outputs);
  float *d_w = get(DTYPE_FLOAT32, inputs * outputs);
  double best[4] = {1e30, 1e30, 1e30, 1e30}, spent = 0;
  for (int round = 0; round < 30 && (spent < 1.5 || round < 5); round++)
    for (int form = 0; form < 4; form++) {
      struct gemm gemm = {
          .form = (enum gemm_form)form, .m = rows, .n = outputs, .k = inputs, .in = dtype, .out = dtype};
      if (form == GEMM_NN) gemm.n = inputs, gemm.k = outputs;
      if (form == GEMM_TN) gemm.m = outputs, gemm.n = inputs, gemm.k = rows, gemm.out = DTYPE_FLOAT32;
      // A small product is timed again while its operands are in cache, as a step's products over heads find them.
      for (int again = rows < 1024 && form < 3 ? 6 : 1; again > 0; again--) {
        double start = now();
        if (form == GEMM_NT) gemm_run(context, &gemm, x, w, y, &error);
        if (form == GEMM_NN) gemm_run(context, &gemm, y, w, x, &error);
        if (form == GEMM_TN) gemm_run(context, &gemm, y, x, d_w, &error);
        if (form == 3) run();
        double took = now() - start;
        spent += took;
        if (round > 0 && took < best[form]) best[form] = took;
      }
    }
  ops->free(device, x), ops->free(device, w), ops->free(device, y), ops->free(device, d_w);
  return (struct pair){best[3], best[0] + best[1] + best[2]};
}

static double total, floor_total;
static void row(const char *name, double seconds, double floor_seconds, double flops, double bytes) {
  total += seconds;
  floor_total += floor_seconds;
  printf("%-20s %9.3f ms", name, seconds * 1e3);
  if (floor_seconds > 0) printf("  floor %9.3f ms  ratio %5.2f", floor_seconds * 1e3, floor_seconds / seconds);
  if (flops > 0) printf("  %7.1f GFLOP/s", flops / seconds * 1e-9);
  if (bytes > 0) printf("  %7.1f GB/s", bytes / seconds * 1e-9);
  printf("\n");
}

int main(int argc, char **argv) {
  struct model *m = &s.m;
  m->layers = argc > 1 ? atoi(argv[1]) : 4;
  m->width = argc > 2 ? atoi(argv[2]) : 256;
  m->vocabulary = argc > 3 ? atoi(argv[3]) : 4096;
  m->context = argc > 4 ? atoi(argv[4]) : 256;
  m->batch = argc > 5 ? atoi(argv[5]) : 16;
  if (argc > 6 && !dtype_find(argv[6], &m->dtype)) return fprintf(stderr, "no dtype %s\n", argv[6]), 2;
  m->head_dim = m->width % 64 == 0 ? 64 : m->width % 32 == 0 ? 32 : 16;
  m->heads = m->width / m->head_dim;
  m->hidden = (m->width * 8 / 3 + 31) / 32 * 32;
  m->rows = m->batch * m->context;
  ops = ops_find("cpu", &error);
  device = ops->open(&(struct device_options){.threads = 1}, &error);
  if (!device) return fprintf(stderr, "%s\n", error.text), 3;
  struct gemm_context *onednn = gemm_open(GEMM_ONEDNN, 1, &error);
  struct text text = {0};
  ops->describe(device, &text);
  printf("%lld x %lld, vocabulary %lld, context %lld, batch %lld, %s; %s\n", (long long)m->layers, (long long)m->width,
         (long long)m->vocabulary, (long long)m->context, (long long)m->batch, dtype_name(m->dtype),
         text_string(&text));

  int64_t rows = m->rows, width = m->width, hidden = m->hidden;
  s.attention = (struct attention){m->batch, m->context, m->heads, m->heads, m->head_dim, m->dtype};
  s.parameters = m->layers * (4 * width * width + 3 * width * hidden) + 2 * m->vocabulary * width;
  enum dtype f = DTYPE_FLOAT32, t = m->dtype;
  s.residual = get(f, rows * width), s.d_residual = get(f, rows * width);
  s.scale = get(f, width), s.d_scale = get(f, width), s.inverse = get(f, rows);
  s.log_sum = get(f, m->batch * m->heads * m->context), s.table = get(f, m->context * m->head_dim);
  s.embedding = get(f, s.parameters), s.d_embedding = get(f, s.parameters);
  s.m1 = get(f, s.parameters), s.m2 = get(f, s.parameters);
  ops->clear(device, s.m2, (size_t)s.parameters * sizeof(float));
  s.x = get(t, rows * width), s.y = get(t, rows * width), s.qkv = get(t, rows * width * 3);
  s.q = get(t, rows * width), s.k = get(t, rows * width), s.v = get(t, rows * width), s.o = get(t, rows * width);
  s.d_o = get(t, rows * width), s.d_q = get(t, rows * width), s.d_k = get(t, rows * width);
  s.d_v = get(t, rows * width), s.gate_up = get(t, rows * hidden * 2), s.d_gate_up = get(t, rows * hidden * 2),
  s.hidden = get(t, rows * hidden);
  s.d_hidden = get(t, rows * hidden);
  s.d_weight = get(f, 2 * width * hidden > 3 * width * width ? 2 * width * hidden : 3 * width * width);
  s.w_qkv = weight(3 * width, width), s.w_o = weight(width, width), s.w_gate_up = weight(2 * hidden, width);
  s.w_down = weight(width, hidden), s.w_head = weight(m->vocabulary, width);
  s.tokens = memory_get((size_t)rows * sizeof *s.tokens);
  for (int64_t i = 0; i < rows; i++) s.tokens[i] = (int32_t)(i * 7919 % m->vocabulary);
  struct weight_description head = {.outputs = m->vocabulary, .inputs = width, .dtype = t};
  struct op_shape shape = {.rows = rows,
                           .width = width,
                           .context = m->context,
                           .heads = m->heads,
                           .kv_heads = m->heads,
                           .head_dim = m->head_dim,
                           .vocabulary = m->vocabulary,
                           .dtype = t,
                           .weight = &head,
                           .training = true};
  size_t bytes = 0;
  for (enum op_kind kind = OP_EMBEDDING; kind <= OP_OPTIMIZER; kind++) {
    if (kind == OP_OPTIMIZER) shape.rows = s.parameters;
    size_t need = ops->workspace_bytes(device, kind, &shape);
    if (need > bytes) bytes = need;
  }
  ops->set_workspace(device, ops->allocate(device, bytes, &error), bytes);
  ops->rope_table(device, m->context, m->head_dim, 10000, s.table);
  printf("workspace %.1f MiB; times are of one step: a layer's times %lld\n", (double)bytes / (1 << 20),
         (long long)m->layers);

  double l = (double)m->layers, r = (double)rows, w = (double)width, h = (double)hidden, v = (double)m->vocabulary;
  double size = (double)dtype_bytes(t);
  struct pair pair = against_bare(qkv_linear, onednn, rows, width, 3 * width);
  row("linear qkv", l * pair.op, l * pair.bare, l * 18 * r * w * w, 0);
  pair = against_bare(o_linear, onednn, rows, width, width);
  row("linear o", l * pair.op, l * pair.bare, l * 6 * r * w * w, 0);
  pair = against_bare(gate_up_linear, onednn, rows, width, 2 * hidden);
  row("linear gate, up", l * pair.op, l * pair.bare, l * 12 * r * w * h, 0);
  pair = against_bare(down_linear, onednn, rows, hidden, width);
  row("linear down", l * pair.op, l * pair.bare, l * 6 * r * w * h, 0);
  pair = against_bare(head_loss, onednn, rows, width, m->vocabulary);
  row("head with loss", pair.op, pair.bare, 6 * r * w * v, 0);
  // Of attention's six square products (two forward, four backward) one head's three forms are timed.
  double heads = (double)(m->batch * m->heads), c = (double)m->context,
         square = 2 * heads * c * c * (double)m->head_dim;
  pair = against_bare(attention_forward, onednn, m->context, m->head_dim, m->context);
  row("attention forward", l * pair.op, l * heads * pair.bare * 2 / 3, l * square * 2, 0);
  pair = against_bare(attention_backward, onednn, m->context, m->head_dim, m->context);
  row("attention backward", l * pair.op, l * heads * pair.bare * 4 / 3, l * square * 4, 0);
  row("norm forward", (2 * l + 1) * best_of(norm_forward), 0, 0, (2 * l + 1) * r * w * (8 + 2 * size));
  row("norm backward", (2 * l + 1) * best_of(norm_backward), 0, 0, (2 * l + 1) * r * w * (12 + size));
  row("qkv forward", l * best_of(qkv_forward), 0, 0, l * r * w * 6 * size);
  row("qkv backward", l * best_of(qkv_backward), 0, 0, l * r * w * 6 * size);
  row("swiglu forward", l * best_of(swiglu_forward), 0, 0, l * r * h * 3 * size);
  row("swiglu backward", l * best_of(swiglu_backward), 0, 0, l * r * h * 5 * size);
  row("embedding", best_of(embedding), 0, 0, r * w * 20);
  row("optimizer", best_of(optimizer), 0, 0, (double)s.parameters * 36);
  row("weights prepared", l * best_of(prepare) + best_of(prepare_head), 0, 0, 0);
  if (!ops->synchronize(device, &error)) return fprintf(stderr, "%s\n", error.text), 3;
  printf("step %.1f ms, %.0f tokens/s; floor %.1f ms, %.0f tokens/s; ratio %.3f\n", total * 1e3, r / total,
         floor_total * 1e3, r / floor_total, floor_total / total);
  return 0;
}
