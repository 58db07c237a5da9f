// See reference.h. One sequence at a time; every array has one row a token.
#include "tests/trainer/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct block {
  double *input, *x, *qkv, *weights, *o, *middle, *x_middle, *gate_up, *hidden;  // qkv after the rotation
};

struct pass {
  const struct run_config *c;
  const struct parameter_table *table;
  const double *p;  // parameters
  double *g;        // gradients or NULL
  int64_t T, d, h, kv, e, f, V;
};

static double *array(int64_t count) { return memory_get((size_t)count * sizeof(double)); }

// y [T, outputs] = x [T, inputs] W^T
static void linear(const struct pass *s, int64_t weight, int64_t outputs, int64_t inputs, const double *x, double *y) {
  for (int64_t t = 0; t < s->T; t++)
    for (int64_t i = 0; i < outputs; i++) {
      double sum = 0;
      for (int64_t j = 0; j < inputs; j++) sum += x[t * inputs + j] * s->p[weight + i * inputs + j];
      y[t * outputs + i] = sum;
    }
}

static void linear_backward(const struct pass *s, int64_t weight, int64_t outputs, int64_t inputs, const double *x,
                            const double *dy, double *dx) {
  memset(dx, 0, (size_t)(s->T * inputs) * sizeof *dx);
  for (int64_t t = 0; t < s->T; t++)
    for (int64_t i = 0; i < outputs; i++)
      for (int64_t j = 0; j < inputs; j++) {
        dx[t * inputs + j] += dy[t * outputs + i] * s->p[weight + i * inputs + j];
        s->g[weight + i * inputs + j] += dy[t * outputs + i] * x[t * inputs + j];
      }
}

static double inverse_rms(const struct pass *s, const double *row) {
  double sum = 0;
  for (int64_t i = 0; i < s->d; i++) sum += row[i] * row[i];
  return 1 / sqrt(sum / (double)s->d + s->c->model.norm_eps);
}

static void norm(const struct pass *s, int64_t scale, const double *r, double *y) {
  for (int64_t t = 0; t < s->T; t++) {
    double inverse = inverse_rms(s, r + t * s->d);
    for (int64_t i = 0; i < s->d; i++) y[t * s->d + i] = r[t * s->d + i] * inverse * s->p[scale + i];
  }
}

// Adds the gradient through the norm to dr.
static void norm_backward(const struct pass *s, int64_t scale, const double *r, const double *dy, double *dr) {
  for (int64_t t = 0; t < s->T; t++) {
    const double *row = r + t * s->d, *d_row = dy + t * s->d;
    double inverse = inverse_rms(s, row), dot = 0;
    for (int64_t i = 0; i < s->d; i++) dot += d_row[i] * s->p[scale + i] * row[i];
    for (int64_t i = 0; i < s->d; i++) {
      s->g[scale + i] += d_row[i] * row[i] * inverse;
      dr[t * s->d + i] += inverse * (d_row[i] * s->p[scale + i] - row[i] * inverse * inverse * dot / (double)s->d);
    }
  }
}

// Turns the pairs (i, i + e/2) of every query and key head by sign * position * theta^(-2i/e).
static void rotate(const struct pass *s, double *qkv, double sign) {
  int64_t heads = s->h + s->kv, stride = (s->h + 2 * s->kv) * s->e, half = s->e / 2;
  for (int64_t t = 0; t < s->T; t++)
    for (int64_t head = 0; head < heads; head++)
      for (int64_t i = 0; i < half; i++) {
        double *a = qkv + t * stride + head * s->e + i, *b = a + half;
        double angle = sign * (double)t * pow(s->c->model.rope_theta, -2.0 * (double)i / (double)s->e);
        double ra = *a * cos(angle) - *b * sin(angle), rb = *b * cos(angle) + *a * sin(angle);
        *a = ra;
        *b = rb;
      }
}

// weights [h, T, T]
static void attention(const struct pass *s, const double *qkv, double *weights, double *o) {
  int64_t stride = (s->h + 2 * s->kv) * s->e;
  memset(o, 0, (size_t)(s->T * s->h * s->e) * sizeof *o);
  for (int64_t head = 0; head < s->h; head++) {
    int64_t group = head / (s->h / s->kv);
    for (int64_t t = 0; t < s->T; t++) {
      double *w = weights + (head * s->T + t) * s->T, sum = 0;
      for (int64_t u = 0; u <= t; u++) {
        double score = 0;
        for (int64_t i = 0; i < s->e; i++)
          score += qkv[t * stride + head * s->e + i] * qkv[u * stride + (s->h + group) * s->e + i];
        sum += w[u] = exp(score / sqrt((double)s->e));
      }
      for (int64_t u = 0; u <= t; u++) {
        w[u] /= sum;
        for (int64_t i = 0; i < s->e; i++)
          o[(t * s->h + head) * s->e + i] += w[u] * qkv[u * stride + (s->h + s->kv + group) * s->e + i];
      }
    }
  }
}

static void attention_backward(const struct pass *s, const double *qkv, const double *weights, const double *d_o,
                               double *d_qkv) {
  int64_t stride = (s->h + 2 * s->kv) * s->e;
  double *dw = array(s->T), root = sqrt((double)s->e);
  memset(d_qkv, 0, (size_t)(s->T * stride) * sizeof *d_qkv);
  for (int64_t head = 0; head < s->h; head++) {
    int64_t group = head / (s->h / s->kv), key = (s->h + group) * s->e, value = (s->h + s->kv + group) * s->e;
    for (int64_t t = 0; t < s->T; t++) {
      const double *w = weights + (head * s->T + t) * s->T, *d_row = d_o + (t * s->h + head) * s->e;
      double mean = 0;
      for (int64_t u = 0; u <= t; u++) {
        dw[u] = 0;
        for (int64_t i = 0; i < s->e; i++) {
          dw[u] += d_row[i] * qkv[u * stride + value + i];
          d_qkv[u * stride + value + i] += d_row[i] * w[u];
        }
        mean += w[u] * dw[u];
      }
      for (int64_t u = 0; u <= t; u++) {
        double ds = w[u] * (dw[u] - mean) / root;
        for (int64_t i = 0; i < s->e; i++) {
          d_qkv[t * stride + head * s->e + i] += ds * qkv[u * stride + key + i];
          d_qkv[u * stride + key + i] += ds * qkv[t * stride + head * s->e + i];
        }
      }
    }
  }
  free(dw);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void block_forward(const struct pass *s, int64_t layer, struct block *b, double *r) {
  const struct layer_offsets *at = &s->table->layers[layer];
  int64_t count = s->T * s->d, stride = (s->h + 2 * s->kv) * s->e;
  double *branch = array(count);
  *b = (struct block){
      array(count), array(count), array(s->T * stride),   array(s->h * s->T * s->T), array(s->T * s->h * s->e),
      array(count), array(count), array(s->T * 2 * s->f), array(s->T * s->f)};
  memcpy(b->input, r, (size_t)count * sizeof *r);
  norm(s, at->attention_norm, r, b->x);
  linear(s, at->qkv, stride, s->d, b->x, b->qkv);
  rotate(s, b->qkv, 1);
  attention(s, b->qkv, b->weights, b->o);
  linear(s, at->output, s->d, s->h * s->e, b->o, branch);
  for (int64_t i = 0; i < count; i++) r[i] += branch[i];
  memcpy(b->middle, r, (size_t)count * sizeof *r);
  norm(s, at->mlp_norm, r, b->x_middle);
  linear(s, at->gate_up, 2 * s->f, s->d, b->x_middle, b->gate_up);
  for (int64_t t = 0; t < s->T; t++)
    for (int64_t i = 0; i < s->f; i++) {
      double gate = b->gate_up[t * 2 * s->f + i];
      b->hidden[t * s->f + i] = gate * sigmoid(gate) * b->gate_up[t * 2 * s->f + s->f + i];
    }
  linear(s, at->down, s->d, s->f, b->hidden, branch);
  for (int64_t i = 0; i < count; i++) r[i] += branch[i];
  free(branch);
}

// dr: gradient of the residual stream after the block; becomes that before it.
static void block_backward(const struct pass *s, int64_t layer, const struct block *b, double *dr) {
  const struct layer_offsets *at = &s->table->layers[layer];
  int64_t count = s->T * s->d, stride = (s->h + 2 * s->kv) * s->e;
  double *d_hidden = array(s->T * s->f), *d_gate_up = array(s->T * 2 * s->f), *dx = array(count),
         *d_o = array(s->T * s->h * s->e), *d_qkv = array(s->T * stride);
  linear_backward(s, at->down, s->d, s->f, b->hidden, dr, d_hidden);
  for (int64_t t = 0; t < s->T; t++)
    for (int64_t i = 0; i < s->f; i++) {
      double gate = b->gate_up[t * 2 * s->f + i], up = b->gate_up[t * 2 * s->f + s->f + i], g = sigmoid(gate),
             d = d_hidden[t * s->f + i];
      d_gate_up[t * 2 * s->f + i] = d * up * g * (1 + gate * (1 - g));
      d_gate_up[t * 2 * s->f + s->f + i] = d * gate * g;
    }
  linear_backward(s, at->gate_up, 2 * s->f, s->d, b->x_middle, d_gate_up, dx);
  norm_backward(s, at->mlp_norm, b->middle, dx, dr);
  linear_backward(s, at->output, s->d, s->h * s->e, b->o, dr, d_o);
  attention_backward(s, b->qkv, b->weights, d_o, d_qkv);
  rotate(s, d_qkv, -1);
  linear_backward(s, at->qkv, stride, s->d, b->x, d_qkv, dx);
  norm_backward(s, at->attention_norm, b->input, dx, dr);
  free(d_hidden);
  free(d_gate_up);
  free(dx);
  free(d_o);
  free(d_qkv);
}

static void block_free(struct block *b) {
  double *all[] = {b->input, b->x, b->qkv, b->weights, b->o, b->middle, b->x_middle, b->gate_up, b->hidden};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

// Sum of the losses of one sequence; with gradients, those of that sum times `scale`.
static double sequence(const struct pass *s, const int32_t *tokens, const int32_t *targets, const uint8_t *mask,
                       double scale) {
  int64_t layers = s->c->model.layers, count = s->T * s->d;
  struct block *blocks = memory_get((size_t)layers * sizeof *blocks);
  double *r = array(count), *x = array(count), *logits = array(s->T * s->V), *dx = array(count), *dr = array(count);
  for (int64_t t = 0; t < s->T; t++)
    for (int64_t i = 0; i < s->d; i++) r[t * s->d + i] = s->p[s->table->embedding + tokens[t] * s->d + i];
  for (int64_t l = 0; l < layers; l++) block_forward(s, l, &blocks[l], r);
  norm(s, s->table->final_norm, r, x);
  linear(s, s->table->head, s->V, s->d, x, logits);
  double nats = 0;
  for (int64_t t = 0; t < s->T; t++) {
    double *row = logits + t * s->V, most = row[0], sum = 0;
    bool counts = !mask || mask[t];
    for (int64_t i = 1; i < s->V; i++) most = fmax(most, row[i]);
    for (int64_t i = 0; i < s->V; i++) sum += exp(row[i] - most);
    if (counts) nats += most + log(sum) - row[targets[t]];
    for (int64_t i = 0; i < s->V; i++) row[i] = counts ? scale * (exp(row[i] - most) / sum - (i == targets[t])) : 0;
  }
  if (s->g) {
    linear_backward(s, s->table->head, s->V, s->d, x, logits, dx);
    norm_backward(s, s->table->final_norm, r, dx, dr);
    for (int64_t l = layers - 1; l >= 0; l--) block_backward(s, l, &blocks[l], dr);
    for (int64_t t = 0; t < s->T; t++)
      for (int64_t i = 0; i < s->d; i++) s->g[s->table->embedding + tokens[t] * s->d + i] += dr[t * s->d + i];
  }
  for (int64_t l = 0; l < layers; l++) block_free(&blocks[l]);
  free(blocks);
  free(r);
  free(x);
  free(logits);
  free(dx);
  free(dr);
  return nats;
}

double reference_loss(const struct run_config *c, const struct parameter_table *table, const double *parameters,
                      const struct token_batch *batch, double *gradients) {
  struct pass s = {c,
                   table,
                   parameters,
                   gradients,
                   c->model.context,
                   c->model.width,
                   c->model.heads,
                   c->model.kv_heads,
                   c->model.head_dim,
                   c->model.mlp_width,
                   c->model.vocabulary};
  int64_t targets = 0;
  double nats = 0;
  for (int64_t i = 0; i < batch->rows; i++) targets += !batch->mask || batch->mask[i];
  for (int64_t at = 0; at < batch->rows; at += s.T)
    nats += sequence(&s, batch->tokens + at, batch->targets + at, batch->mask ? batch->mask + at : NULL,
                     1 / (double)targets);
  return nats / (double)targets;
}
