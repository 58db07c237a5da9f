// The passes around the matrix products on the tested device, against the CPU's and double precision, at odd shapes.
#include "tests/cuda/cuda_check.h"

static void norm_case(int64_t rows, int64_t width, enum dtype dtype, bool with_branch) {
  int64_t count = rows * width;
  struct array in = array_random(DTYPE_FLOAT32, count, 2), branch = array_random(dtype, count, 1);
  struct array scale = array_random(DTYPE_FLOAT32, width, 1), d_y = array_random(dtype, count, 1);
  struct array d_out = array_random(DTYPE_FLOAT32, count, 1), d_scale = array_random(DTYPE_FLOAT32, width, 1);
  struct array out = array_empty(DTYPE_FLOAT32, count), y = array_empty(dtype, count),
               again = array_empty(dtype, count);
  struct array inverse = array_empty(DTYPE_FLOAT32, rows), d_in = array_empty(DTYPE_FLOAT32, count);
  struct array d_branch = array_empty(dtype, count);
  double *want = calloc((size_t)count, sizeof *want);
  for (int64_t row = 0; row < rows; row++) {
    double squares = 0;
    for (int64_t i = row * width; i < (row + 1) * width; i++) {
      want[i] = in.values[i] + (with_branch ? branch.values[i] : 0);
      squares += want[i] * want[i];
    }
    for (int64_t i = 0; i < width; i++) want[row * width + i] *= scale.values[i] / sqrt(squares / (double)width + 1e-3);
  }
  workspaces_for(OP_RMSNORM, (struct op_shape){.rows = rows, .width = width, .dtype = dtype, .training = true});
  for (int s = 0; s < 2; s++) {
    ops[s]->rmsnorm_forward(device[s], rows, width, 1e-3f, dtype, in.data[s], with_branch ? branch.data[s] : NULL,
                            scale.data[s], out.data[s], y.data[s], inverse.data[s]);
    // Without a branch nothing needs to be kept.
    ops[s]->rmsnorm_forward(device[s], rows, width, 1e-3f, dtype, out.data[s], NULL, scale.data[s], NULL, again.data[s],
                            inverse.data[s]);
    ops[s]->rmsnorm_backward(device[s], rows, width, dtype, out.data[s], inverse.data[s], scale.data[s], d_y.data[s],
                             d_out.data[s], d_in.data[s], with_branch ? d_branch.data[s] : NULL, d_scale.data[s]);
  }
  array_check(&y, want, tolerance_of(dtype), "y");
  array_check(&again, want, tolerance_of(dtype), "y again");
  array_check(&out, NULL, 2e-7, "residual_out");
  array_check(&inverse, NULL, 2e-6, "inverse_rms");
  array_check(&d_in, NULL, 3e-6, "d_residual_in");
  array_check(&d_scale, NULL, 3e-6, "d_scale");
  if (with_branch) array_check(&d_branch, NULL, tolerance_of(dtype), "d_branch");
  // In place, and with no gradient from above.
  for (int s = 0; s < 2; s++) {
    ops[s]->rmsnorm_backward(device[s], rows, width, dtype, out.data[s], inverse.data[s], scale.data[s], d_y.data[s],
                             d_out.data[s], d_out.data[s], NULL, d_scale.data[s]);
    ops[s]->rmsnorm_backward(device[s], rows, width, dtype, out.data[s], inverse.data[s], scale.data[s], d_y.data[s],
                             NULL, d_in.data[s], NULL, d_scale.data[s]);
  }
  array_check(&d_out, NULL, 3e-6, "d_residual, in place");
  array_check(&d_in, NULL, 3e-6, "d_residual_in without d_residual_out");
  free(want);
  struct array *all[] = {&in, &branch, &scale, &d_y, &d_out, &d_scale, &out, &y, &again, &inverse, &d_in, &d_branch};
  arrays_free(all, COUNT_OF(all));
}
static void rmsnorm(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    norm_case(1, 1, dtype, true);
    norm_case(3, 33, dtype, true);
    norm_case(70, 48, dtype, false);
    norm_case(9, 250, dtype, true);
    // The teams of backward: registers of a warp, of a block, and the two passes of wider rows.
    norm_case(19, 264, dtype, true);
    norm_case(9, 1032, dtype, false);
    norm_case(2, 2056, dtype, true);
    norm_case(70, 8, dtype, true);
    norm_case(3, 8200, dtype, true);
  }
}

static void swiglu_case(int64_t rows, int64_t width, enum dtype dtype) {
  struct array gate_up = array_random(dtype, rows * 2 * width, 6), d_y = array_random(dtype, rows * width, 1);
  struct array y = array_empty(dtype, rows * width), again = array_empty(dtype, rows * width);
  struct array d = array_empty(dtype, rows * 2 * width);
  double *want = calloc((size_t)(rows * width), sizeof *want);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t i = 0; i < width; i++) {
      double gate = gate_up.values[row * 2 * width + i];
      want[row * width + i] = gate / (1 + exp(-gate)) * gate_up.values[(row * 2 + 1) * width + i];
    }
  for (int s = 0; s < 2; s++) {
    ops[s]->swiglu_forward(device[s], rows, width, dtype, gate_up.data[s], y.data[s]);
    ops[s]->swiglu_backward(device[s], rows, width, dtype, gate_up.data[s], d_y.data[s], d.data[s], again.data[s]);
    ops[s]->swiglu_backward(device[s], rows, width, dtype, gate_up.data[s], d_y.data[s], gate_up.data[s], d_y.data[s]);
  }
  array_check(&y, want, tolerance_of(dtype), "y");
  array_check(&again, want, tolerance_of(dtype), "y of backward");
  array_check(&d, NULL, tolerance_of(dtype), "d_gate_up");
  array_check(&gate_up, d.values, 0.5 * tolerance_of(dtype), "d_gate_up, in place");
  array_check(&d_y, want, tolerance_of(dtype), "y over d_y");
  free(want);
  struct array *all[] = {&gate_up, &d_y, &y, &again, &d};
  arrays_free(all, COUNT_OF(all));
}
static void swiglu(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    swiglu_case(1, 1, dtype);
    swiglu_case(3, 37, dtype);
    swiglu_case(11, 96, dtype);
  }
}

static void embedding_case(int64_t rows, int64_t width, int64_t vocabulary) {
  struct array table = array_random(DTYPE_FLOAT32, vocabulary * width, 1);
  struct array residual = array_empty(DTYPE_FLOAT32, rows * width);
  struct array d_residual = array_random(DTYPE_FLOAT32, rows * width, 1);
  struct array d_table = array_random(DTYPE_FLOAT32, vocabulary * width, 1);
  int32_t *tokens = malloc((size_t)rows * sizeof *tokens);
  double *gathered = calloc((size_t)(rows * width), sizeof *gathered);
  double *summed = calloc((size_t)(vocabulary * width), sizeof *summed);
  for (int64_t i = 0; i < d_table.count; i++) summed[i] = d_table.values[i];
  for (int64_t row = 0; row < rows; row++) {
    tokens[row] = (int32_t)(row * row * (row % 3 ? 1 : vocabulary / 5) % vocabulary);
    for (int64_t i = 0; i < width; i++) {
      gathered[row * width + i] = table.values[tokens[row] * width + i];
      summed[tokens[row] * width + i] += d_residual.values[row * width + i];
    }
  }
  void *ids[2];
  both_upload(ids, tokens, (size_t)rows * sizeof *tokens);
  workspaces_for(OP_EMBEDDING,
                 (struct op_shape){.rows = rows, .width = width, .vocabulary = vocabulary, .training = true});
  for (int s = 0; s < 2; s++) {
    ops[s]->embedding_forward(device[s], rows, width, vocabulary, ids[s], table.data[s], residual.data[s]);
    ops[s]->embedding_backward(device[s], rows, width, vocabulary, ids[s], d_residual.data[s], d_table.data[s]);
  }
  array_check(&residual, gathered, 0, "residual");
  array_check(&d_table, summed, 1e-6, "d_table");
  free(tokens), free(gathered), free(summed);
  both_free(ids);
  struct array *all[] = {&table, &residual, &d_residual, &d_table};
  arrays_free(all, COUNT_OF(all));
}
static void embedding(void) {
  embedding_case(50, 19, 7);
  embedding_case(301, 36, 12);
  // By sorting: tokens in one, two and three digits, tokens many times and once.
  embedding_case(700, 5, 2100);
  embedding_case(1, 3, 70000);
  embedding_case(513, 3, 70000);
}

static void attention_case(struct attention shape) {
  int64_t rows = shape.sequences * shape.context, dim = shape.head_dim, context = shape.context;
  int64_t queries = rows * shape.heads * dim, keys = rows * shape.kv_heads * dim, statistics = rows * shape.heads;
  enum dtype dtype = shape.dtype;
  struct array q = array_random(dtype, queries, 2), k = array_random(dtype, keys, 2), v = array_random(dtype, keys, 1);
  struct array d_o = array_random(dtype, queries, 1), o = array_empty(dtype, queries);
  struct array log_sum = array_empty(DTYPE_FLOAT32, statistics), d_q = array_empty(dtype, queries);
  struct array d_k = array_empty(dtype, keys), d_v = array_empty(dtype, keys);
  double *want = calloc((size_t)queries, sizeof *want), *want_sum = calloc((size_t)statistics, sizeof *want_sum);
  double *p = calloc((size_t)context, sizeof *p);
  for (int64_t item = 0; item < shape.sequences * shape.heads; item++)
    for (int64_t i = 0; i < context; i++) {
      int64_t sequence = item / shape.heads, head = item % shape.heads;
      int64_t kv = (sequence * shape.kv_heads + head / (shape.heads / shape.kv_heads)) * context;
      double maximum = -INFINITY, sum = 0;
      for (int64_t j = 0; j <= i; j++) {
        p[j] = 0;
        for (int64_t d = 0; d < dim; d++)
          p[j] += q.values[(item * context + i) * dim + d] * k.values[(kv + j) * dim + d];
        p[j] /= sqrt((double)dim);
        if (p[j] > maximum) maximum = p[j];
      }
      for (int64_t j = 0; j <= i; j++) sum += p[j] = exp(p[j] - maximum);
      want_sum[item * context + i] = maximum + log(sum);
      for (int64_t d = 0; d < dim; d++)
        for (int64_t j = 0; j <= i; j++)
          want[((sequence * context + i) * shape.heads + head) * dim + d] += p[j] / sum * v.values[(kv + j) * dim + d];
    }
  struct op_shape op = {.rows = rows,
                        .context = context,
                        .heads = shape.heads,
                        .kv_heads = shape.kv_heads,
                        .head_dim = dim,
                        .dtype = dtype,
                        .training = true};
  workspaces_for(OP_ATTENTION, op);
  for (int s = 0; s < 2; s++) {
    ops[s]->attention_forward(device[s], &shape, q.data[s], k.data[s], v.data[s], o.data[s], log_sum.data[s]);
    ops[s]->attention_backward(device[s], &shape, q.data[s], k.data[s], v.data[s], o.data[s], log_sum.data[s],
                               d_o.data[s], d_q.data[s], d_k.data[s], d_v.data[s]);
  }
  int before = check_failures;
  array_check(&o, want, tolerance_of(dtype), "o");
  array_check(&log_sum, want_sum, 3e-6, "log_sum");
  array_check(&d_q, NULL, 2 * tolerance_of(dtype), "d_q");
  array_check(&d_k, NULL, 2 * tolerance_of(dtype), "d_k");
  array_check(&d_v, NULL, 2 * tolerance_of(dtype), "d_v");
  if (check_failures > before)
    printf("# ... context %lld, heads %lld / %lld, head_dim %lld, %s\n", (long long)context, (long long)shape.heads,
           (long long)shape.kv_heads, (long long)dim, dtype_name(dtype));
  free(want), free(want_sum), free(p);
  struct array *all[] = {&q, &k, &v, &d_o, &o, &log_sum, &d_q, &d_k, &d_v};
  arrays_free(all, COUNT_OF(all));
}
static void attention(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    attention_case((struct attention){1, 1, 1, 1, 2, dtype});
    attention_case((struct attention){2, 7, 4, 2, 6, dtype});
    attention_case((struct attention){1, 65, 2, 1, 16, dtype});
    attention_case((struct attention){1, 33, 1, 1, 64, dtype});
    attention_case((struct attention){1, 35, 1, 1, 100, dtype});
  }
  attention_case((struct attention){1, 33, 1, 1, 128, DTYPE_FLOAT32});
  // On tensor cores: the four kernels, dimensions below theirs, ends of tiles of 16, 32 and 64 rows, groups of heads.
  attention_case((struct attention){1, 1, 1, 1, 16, DTYPE_BFLOAT16});
  attention_case((struct attention){2, 17, 2, 2, 24, DTYPE_BFLOAT16});
  attention_case((struct attention){1, 64, 1, 1, 32, DTYPE_BFLOAT16});
  attention_case((struct attention){2, 65, 6, 2, 16, DTYPE_BFLOAT16});
  attention_case((struct attention){1, 129, 2, 1, 64, DTYPE_BFLOAT16});
  attention_case((struct attention){1, 97, 2, 1, 128, DTYPE_BFLOAT16});
  attention_case((struct attention){1, 65, 1, 1, 80, DTYPE_BFLOAT16});
}

// Scores far apart, as a model's own are not: nothing overflows, and the softmax picks one key.
static void attention_extremes(void) {
  struct attention shape = {1, 70, 1, 1, 16, DTYPE_BFLOAT16};
  int64_t count = shape.context * shape.head_dim;
  struct array q = array_random(DTYPE_BFLOAT16, count, 1), k = array_random(DTYPE_BFLOAT16, count, 1);
  struct array v = array_random(DTYPE_BFLOAT16, count, 1), o = array_empty(DTYPE_BFLOAT16, count);
  struct array log_sum = array_empty(DTYPE_FLOAT32, shape.context);
  for (int64_t i = 0; i < count; i++) {
    q.values[i] = 40;
    k.values[i] = 40 * (double)(i / shape.head_dim);  // each key above all before it
  }
  array_write(&q), array_write(&k);
  for (int s = 0; s < 2; s++)
    ops[s]->attention_forward(device[s], &shape, q.data[s], k.data[s], v.data[s], o.data[s], log_sum.data[s]);
  array_check(&o, v.values, 1e-6, "o is the last value");
  array_check(&log_sum, NULL, 3e-6, "log_sum");
  struct array *all[] = {&q, &k, &v, &o, &log_sum};
  arrays_free(all, COUNT_OF(all));
}

static void rotary_case(struct attention shape) {
  int64_t rows = shape.sequences * shape.context, packed = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  int64_t queries = rows * shape.heads * shape.head_dim, keys = rows * shape.kv_heads * shape.head_dim;
  struct array table = array_empty(DTYPE_FLOAT32, shape.context * shape.head_dim);
  struct array qkv = array_random(shape.dtype, rows * packed, 1), d_qkv = array_empty(shape.dtype, rows * packed);
  struct array q = array_empty(shape.dtype, queries), k = array_empty(shape.dtype, keys);
  struct array v = array_empty(shape.dtype, keys);
  for (int s = 0; s < 2; s++) {
    ops[s]->rope_table(device[s], shape.context, shape.head_dim, 1000, table.data[s]);
    ops[s]->qkv_forward(device[s], &shape, qkv.data[s], table.data[s], q.data[s], k.data[s], v.data[s]);
    ops[s]->qkv_backward(device[s], &shape, q.data[s], k.data[s], v.data[s], table.data[s], d_qkv.data[s]);
  }
  array_check(&table, NULL, 0, "table");
  array_check(&q, NULL, tolerance_of(shape.dtype), "q");
  array_check(&k, NULL, tolerance_of(shape.dtype), "k");
  array_check(&v, NULL, 0, "v");
  // Turned there and back.
  array_check(&d_qkv, qkv.values, tolerance_of(shape.dtype), "qkv, there and back");
  struct array *all[] = {&table, &qkv, &d_qkv, &q, &k, &v};
  arrays_free(all, COUNT_OF(all));
}
static void rotary(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    rotary_case((struct attention){1, 1, 1, 1, 2, dtype});
    rotary_case((struct attention){2, 5, 4, 2, 6, dtype});
    rotary_case((struct attention){3, 9, 3, 1, 64, dtype});
    rotary_case((struct attention){1, 3, 2, 1, 24, dtype});
  }
}

int main(void) {
  devices_begin();
  RUN(rmsnorm);
  RUN(swiglu);
  RUN(embedding);
  RUN(rotary);
  RUN(attention);
  RUN(attention_extremes);
  devices_end();
  return check_end();
}
