// The cache of keys and values: reading token after token is the full forward pass; what is stored does not depend on
// how tokens come; codec, predictors and the rule of what a prediction saves; a cache that several workers share.
#include <math.h>

#include "base/philox.h"
#include "tests/trainer/fixture.h"
#include "trainer/cache/shared.h"
#include "trainer/readout.h"

#define SMALL                                                                                        \
  "model.layers=3 model.width=48 model.heads=4 model.kv_heads=2 model.head_dim=12 model.context=40 " \
  "model.vocabulary=50 model.init_std=0.2 train.batch_tokens=80 train.tokens=80"

enum { SEQUENCES = 2, CONTEXT = 40, WIDTH = 48, ROWS = SEQUENCES * CONTEXT };

static double normal(uint64_t seed, uint64_t index) {
  double pair[2];
  random_normal_pair(seed, 1000, 0, index / 2, pair);
  return pair[index % 2];
}

// Largest distance over the root mean square of b.
static double apart(const float *a, const float *b, int64_t count) {
  double largest = 0, squares = 0;
  for (int64_t i = 0; i < count; i++) {
    largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
    squares += (double)b[i] * (double)b[i];
  }
  return largest / sqrt(squares / (double)count);
}

struct small {
  struct arena arena;
  struct run_config config;
  struct fixture fixture;
  struct token_batch batch;
  struct error error;
  float full[ROWS * WIDTH], x[ROWS * WIDTH];
};

static void open_small(struct small *s, const char *more) {
  int64_t targets;
  s->config = fixture_config(&s->arena, arena_format(&s->arena, SMALL "%s", more));
  s->fixture = fixture_open(&s->config, MODEL_EVALUATE);
  model_initialise(s->fixture.model, 3);
  s->batch = fixture_batch(&s->arena, &s->config, ROWS, false, 7, &targets);
  CHECK(model_forward(s->fixture.model, ROWS, s->batch.tokens, &s->error));
  CHECK(model_read(s->fixture.model, s->fixture.model->final_x, s->fixture.model->dtype, ROWS * WIDTH, s->full,
                   &s->error));
}

static void close_small(struct small *s) {
  fixture_close(&s->fixture);
  arena_free(&s->arena);
  free(s);
}

// All tokens in pieces of `piece`, sequence by sequence in s->x.
static void read_in_pieces(struct small *s, struct kv_cache *cache, int64_t piece) {
  float x[ROWS * WIDTH];
  int32_t tokens[ROWS];
  cache_clear(cache, SEQUENCES);
  for (int64_t done = 0; done < CONTEXT; done += piece) {
    int64_t count = CONTEXT - done < piece ? CONTEXT - done : piece;
    for (int64_t i = 0; i < SEQUENCES * count; i++) tokens[i] = s->batch.tokens[i / count * CONTEXT + done + i % count];
    CHECK(cache_read_tokens(cache, count, tokens, x, &s->error));
    for (int64_t i = 0; i < SEQUENCES; i++)
      memcpy(s->x + (i * CONTEXT + done) * WIDTH, x + i * count * WIDTH, (size_t)(count * WIDTH) * sizeof *x);
  }
}

static void reading_token_by_token_is_the_forward_pass(const char *more, double tolerance) {
  struct small *s = memory_get(sizeof *s);
  open_small(s, more);
  struct kv_cache *cache = cache_make(s->fixture.model, SEQUENCES, NULL, NULL, false, &s->error);
  if (CHECK(cache != NULL)) {
    static const int64_t pieces[] = {1, 7, 40};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
      read_in_pieces(s, cache, pieces[i]);
      if (!CHECK(apart(s->x, s->full, ROWS * WIDTH) < tolerance))
        printf("# pieces of %lld: %g\n", (long long)pieces[i], apart(s->x, s->full, ROWS * WIDTH));
    }
    // Whole windows through the cache, to the loss.
    struct loss_sum full = {0}, cached = {0};
    CHECK(model_evaluate(s->fixture.model, &s->batch, 0, &full, NULL, &s->error));
    cache_attach(cache);
    CHECK(model_evaluate(s->fixture.model, &s->batch, 0, &cached, NULL, &s->error));
    CHECK_NEAR(cached.nats / (double)cached.targets, full.nats / (double)full.targets, tolerance);
  }
  cache_free(cache);
  CHECK(s->fixture.model->passage == NULL);
  close_small(s);
}

static void in_float32(void) { reading_token_by_token_is_the_forward_pass("", 2e-5); }
static void in_bfloat16(void) { reading_token_by_token_is_the_forward_pass(" model.dtype=bfloat16", 0.2); }

// ---- what is stored ----

static void what_is_stored_does_not_depend_on_pieces(void) {
  struct small *s = memory_get(sizeof *s);
  struct cache_code code;
  struct cache_keeping keep = {.first = 2, .recent = 6, .stream = 8};
  double last = INFINITY;
  open_small(s, "");
  for (int bits = 1; bits <= 4; bits++) {
    float whole[ROWS * WIDTH];
    CHECK(cache_code_make(&code, 3, 24, bits, false, 4, 5, &s->arena, &s->error));
    struct kv_cache *cache = cache_make(s->fixture.model, SEQUENCES, &code, &keep, false, &s->error);
    if (!CHECK(cache != NULL)) break;
    read_in_pieces(s, cache, CONTEXT);
    memcpy(whole, s->x, sizeof whole);
    // [2, 34) of 40 tokens, of two sequences, 24 wide.
    CHECK(cache->compressed == 34 && cache->sums[0].count == 2 * 32 * 24);
    double error = apart(whole, s->full, ROWS * WIDTH);
    CHECK(error > 1e-4 && error < last);
    last = error;
    read_in_pieces(s, cache, 1);
    CHECK(apart(s->x, whole, ROWS * WIDTH) < 1e-3 * error + 2e-5);
    read_in_pieces(s, cache, 5);
    CHECK(apart(s->x, whole, ROWS * WIDTH) < 1e-3 * error + 2e-5);
    // What is read before the first storing (after 8 tokens: [2, 2) of them, after 16 [2, 10)) is exact.
    for (int64_t i = 0; i < SEQUENCES; i++)
      CHECK(apart(whole + i * CONTEXT * WIDTH, s->full + i * CONTEXT * WIDTH, 16 * WIDTH) < 2e-5);
    cache_free(cache);
  }
  close_small(s);
}

static void a_code_of_its_own_inputs_predicts_them(void) {
  // Layer 1's keys are a linear function of layer 0's, layer 1's values of both: what is left is layer 0's own error.
  enum { LAYERS = 2, N = 512, W = 16 };
  struct arena arena = {0};
  struct error error = {0};
  struct cache_code code;
  float *of[LAYERS * CACHED_KINDS], map[2 * W * W];
  for (int i = 0; i < 2 * W * W; i++) map[i] = (float)normal(1, (uint64_t)i) / sqrtf(W);
  for (int i = 0; i < LAYERS * CACHED_KINDS; i++) of[i] = arena_array(&arena, N * W, sizeof(float));
  for (int row = 0; row < N; row++)
    for (int o = 0; o < W; o++) {
      of[0][row * W + o] = (float)normal(2, (uint64_t)(row * W + o));
      of[1][row * W + o] = (float)normal(3, (uint64_t)(row * W + o));
    }
  for (int row = 0; row < N; row++)
    for (int o = 0; o < W; o++) {
      of[2][row * W + o] = 0.5F;
      of[3][row * W + o] = -2;
      for (int i = 0; i < W; i++) of[2][row * W + o] += of[0][row * W + i] * map[i * W + o];
      for (int i = 0; i < W; i++) of[3][row * W + o] += of[1][row * W + i] * map[(W + i) * W + o];
    }
  CHECK(cache_code_make(&code, LAYERS, W, 4, true, 4, 9, &arena, &error));
  CHECK(cache_code_fit(&code, N, of, 1e-6, &arena, &error));
  CHECK_NEAR(code.maps[2].constant[0], 0.5, 0.05);
  CHECK_NEAR(code.maps[3].constant[3], -2, 0.1);
  for (int i = 0; i < W * W; i += 17) CHECK_NEAR(code.maps[2].weights[i], map[i], 0.05);
  CHECK_NEAR(code.bits[0], 4 + 16.0 / W, 1e-12);
  arena_free(&arena);
}

// Ridge regression has a closed gradient: X^T (Y - X W) = d W on centred data.
static void maps_are_the_ridge_regressions(void) {
  enum { N = 40, IN = 5, MORE = 3, OUT = 3, ALL = IN + MORE };
  struct arena arena = {0};
  struct error error = {0};
  struct linear_map map;
  float x[N * IN], more[N * MORE], y[N * OUT], fitted[N * OUT];
  double means[ALL] = {0}, mean_y[OUT] = {0}, trace = 0;
  for (int i = 0; i < N * IN; i++) x[i] = (float)normal(11, (uint64_t)i) + 3;
  for (int i = 0; i < N * MORE; i++) more[i] = (float)normal(12, (uint64_t)i) - 1;
  for (int i = 0; i < N * OUT; i++) y[i] = (float)normal(13, (uint64_t)i) + x[i / OUT * IN];
  CHECK(linear_map_fit(&map, N, x, IN, more, MORE, y, OUT, 0.1, &arena, &error));
  linear_map_apply(&map, N, x, more, fitted);
#define INPUT(row, i) (double)((i) < IN ? x[(row)*IN + (i)] : more[(row)*MORE + (i)-IN])
  for (int row = 0; row < N; row++) {
    for (int i = 0; i < ALL; i++) means[i] += INPUT(row, i) / N;
    for (int o = 0; o < OUT; o++) mean_y[o] += (double)y[row * OUT + o] / N;
  }
  for (int row = 0; row < N; row++)
    for (int i = 0; i < ALL; i++) trace += pow(INPUT(row, i) - means[i], 2);
  for (int o = 0; o < OUT; o++)
    for (int i = 0; i < ALL; i++) {
      double gradient = 0;
      for (int row = 0; row < N; row++)
        gradient += (INPUT(row, i) - means[i]) * ((double)y[row * OUT + o] - (double)fitted[row * OUT + o]);
      CHECK_NEAR(gradient, 0.1 * trace / ALL * (double)map.weights[i * OUT + o], 2e-4);
    }
  for (int o = 0; o < OUT; o++) {  // the constant leaves no mean
    double left = -mean_y[o];
    for (int row = 0; row < N; row++) left += (double)fitted[row * OUT + o] / N;
    CHECK_NEAR(left, 0, 1e-6);
  }
  y[4] = NAN;
  CHECK(!linear_map_fit(&map, N, x, IN, more, MORE, y, OUT, 0.1, &arena, &error) && error.code == EXIT_RUNS_FAILED);
  arena_free(&arena);
}

// A residual stream of few latent directions, of which each layer's keys and values are noisy linear functions: the
// error with prediction over that without it is what the predictor leaves unexplained, within 3 %, on tokens that it
// was not fitted on; and errors do not add up over layers.
static void what_a_prediction_saves_is_what_it_explains(void) {
  enum { LAYERS = 6, N = 4096, W = 64, LATENT = 24 };
  struct arena arena = {0};
  struct error error = {0};
  struct cache_code code;
  float *of[LAYERS * CACHED_KINDS], *made[LAYERS * CACHED_KINDS], *latent = arena_array(&arena, 2 * N * LATENT, 4);
  float *maps = arena_array(&arena, LAYERS * CACHED_KINDS * LATENT * W, sizeof *maps);
  for (int i = 0; i < 2 * N * LATENT; i++) latent[i] = (float)normal(21, (uint64_t)i);
  for (int i = 0; i < LAYERS * CACHED_KINDS * LATENT * W; i++) maps[i] = (float)normal(22, (uint64_t)i);
  for (int k = 0; k < LAYERS * CACHED_KINDS; k++) {
    made[k] = arena_array(&arena, 2 * N * W, sizeof(float));
    of[k] = arena_array(&arena, N * W, sizeof(float));
    for (int row = 0; row < 2 * N; row++)
      for (int o = 0; o < W; o++) {
        float *to = &made[k][row * W + o];
        *to = (float)normal(23 + (uint64_t)k, (uint64_t)(row * W + o)) * 1.5F;
        for (int i = 0; i < LATENT; i++) *to += latent[row * LATENT + i] * maps[(k * LATENT + i) * W + o];
      }
    memcpy(of[k], made[k], N * W * sizeof(float));
  }
  CHECK(cache_code_make(&code, LAYERS, W, 2, true, 4, 1, &arena, &error));
  CHECK(cache_code_fit(&code, N, of, 1e-3, &arena, &error));
  float *work = arena_array(&arena, 6 * N * W, sizeof *work);
  double first_error = 0;
  for (int64_t layer = 0; layer < LAYERS; layer++) {
    struct cache_sums sums[CACHED_KINDS] = {0};
    float *here = work + layer % 2 * 2 * N * W, *there = work + (layer + 1) % 2 * 2 * N * W;
    const float *values[CACHED_KINDS] = {made[layer * 2] + N * W, made[layer * 2 + 1] + N * W};
    const float *below[CACHED_KINDS] = {there, there + N * W};
    float *read_back[CACHED_KINDS] = {here, here + N * W};
    cache_code_store(&code, layer, N, values, below, read_back, work + 4 * N * W, sums);
    for (int kind = 0; kind < CACHED_KINDS && layer > 0; kind++) {
      const struct cache_sums *s = &sums[kind];
      double ratio = s->error / s->plain_error, unexplained = s->unexplained / s->energy;
      CHECK(unexplained > 0.02 && unexplained < 0.7);
      if (!CHECK(fabs(ratio / unexplained - 1) < 0.03))
        printf("# layer %d, kind %d: ratio %g, unexplained %g\n", (int)layer, kind, ratio, unexplained);
      if (layer == 1) first_error += s->error / s->energy;
      if (layer == LAYERS - 1) first_error -= s->error / s->energy;
    }
  }
  CHECK(fabs(first_error) < 0.02);
  arena_free(&arena);
}

// The grid's own error on Gaussian data, of groups of 1024 that no transform changes in kind.
static void a_code_errs_as_its_grid(void) {
  static const double errors[] = {0.3634, 0.107, 0.0296, 0.0079};  // of a normal value; of 1 bit 1 - 2 / pi
  enum { N = 64, W = 1024 };
  struct arena arena = {0};
  struct error error = {0};
  float *x = arena_array(&arena, N * W, sizeof *x), *y = arena_array(&arena, N * W, sizeof *y);
  for (int i = 0; i < N * W; i++) x[i] = (float)normal(31, (uint64_t)i) * (float)(1 + i / W);
  for (int bits = CACHE_LEAST_BITS; bits <= CACHE_MOST_BITS; bits++) {
    struct cache_codec *codec = cache_codec_make(bits, W, 1, 2, &arena, &error);
    double squares = 0, apart_squares = 0;
    if (!CHECK(codec != NULL)) break;
    cache_codec_represent(codec, N, x, y);
    for (int i = 0; i < N * W; i++) {
      squares += (double)x[i] * (double)x[i];
      apart_squares += pow((double)x[i] - (double)y[i], 2);
    }
    CHECK_NEAR(apart_squares / squares, errors[bits - 1], 0.05 * errors[bits - 1]);
    CHECK_NEAR(cache_codec_bits(bits, W), bits + 16.0 / 1024, 1e-12);
  }
  CHECK(cache_group(96) == 32 && cache_group(4096) == 1024 && cache_group(48) == 16);
  CHECK_NEAR(cache_codec_bits(2, 96), 2.5, 1e-12);
  arena_free(&arena);
}

static void activations_have_no_cache(void) {
  struct small *s = memory_get(sizeof *s);
  open_small(s, " format=w4a4");
  CHECK(!cache_make(s->fixture.model, SEQUENCES, NULL, NULL, false, &s->error));
  CHECK(s->error.code == EXIT_USAGE_ERROR && strstr(s->error.text, "w4a4"));
  close_small(s);
}

// ---- a cache that workers share ----

static void a_step(struct shared_cache *shared, const int32_t *tokens, int64_t workers, int64_t step, int64_t count,
                   float *x, struct error *error) {
  int32_t now[8];
  for (int64_t w = 0; w < workers; w++) now[w] = tokens[w * count + step];
  CHECK(shared_cache_step(shared, now, x, error));
}

// Of one block of attention, whose keys follow from the tokens alone: a worker's last token has the final norm that it
// has at the end of what it sees, read from the start.
static void a_worker_sees_common_others_and_own(void) {
  enum { PROMPT = 9, COUNT = 5 };
  for (int64_t workers = 1; workers <= 4; workers++) {
    struct small *s = memory_get(sizeof *s);
    float x[ROWS * WIDTH], seen[ROWS * WIDTH];
    open_small(s, " model.layers=1");
    const int32_t *tokens = s->batch.tokens + PROMPT;
    struct kv_cache *common = cache_make(s->fixture.model, 1, NULL, NULL, false, &s->error);
    CHECK(cache_read_tokens(common, PROMPT, s->batch.tokens, x, &s->error));
    struct shared_cache *shared = shared_cache_make(common, workers, COUNT, &s->error);
    for (int64_t i = 0; i < COUNT && CHECK(shared != NULL); i++) {
      a_step(shared, tokens, workers, i, COUNT, x, &s->error);
      for (int64_t w = 0; w < workers; w++) {
        int32_t view[CONTEXT] = {0};
        int64_t at = PROMPT;
        memcpy(view, s->batch.tokens, PROMPT * sizeof *view);
        for (int64_t other = 0; other <= workers; other++) {
          int64_t block = other < workers ? other : w;
          if (other == w) continue;
          CHECK(shared_cache_offset(shared, w, block, i + 1) == at);
          memcpy(view + at, tokens + block * COUNT, (size_t)(i + 1) * sizeof *view);
          at += i + 1;
        }
        CHECK(model_forward(s->fixture.model, CONTEXT, view, &s->error));
        CHECK(model_read(s->fixture.model, s->fixture.model->final_x, DTYPE_FLOAT32, CONTEXT * WIDTH, seen, &s->error));
        CHECK(apart(x + w * WIDTH, seen + (at - 1) * WIDTH, WIDTH) < 2e-5);
      }
    }
    shared_cache_free(shared);
    cache_free(common);
    close_small(s);
  }
}

static void one_worker_is_ordinary_decoding(void) {
  enum { PROMPT = 9, COUNT = 31 };
  struct small *s = memory_get(sizeof *s);
  float x[ROWS * WIDTH];
  open_small(s, "");
  struct kv_cache *common = cache_make(s->fixture.model, 1, NULL, NULL, false, &s->error);
  CHECK(cache_read_tokens(common, PROMPT, s->batch.tokens, x, &s->error));
  struct shared_cache *shared = shared_cache_make(common, 1, COUNT, &s->error);
  for (int64_t i = 0; i < COUNT && CHECK(shared != NULL); i++) {
    a_step(shared, s->batch.tokens + PROMPT, 1, i, COUNT, x, &s->error);
    CHECK(apart(x, s->full + (PROMPT + i) * WIDTH, WIDTH) < 2e-5);
  }
  CHECK(!shared_cache_make(common, 2, 16, &s->error) && s->error.code == EXIT_USAGE_ERROR);
  shared_cache_free(shared);
  cache_free(common);
  close_small(s);
}

// Over places up to 65536 of heads of 16 to 128, of vectors of length about 1; and against the rotation as such.
static void rotated_queries_have_the_scores_of_rotated_keys(void) {
  double largest = 0, q[128], k[128];
  for (uint64_t trial = 0; trial < 2000; trial++) {
    int64_t dim = 16 << trial % 4;
    int64_t a = (int64_t)random_below(41, 1001, trial, 0, 65536), c = (int64_t)random_below(41, 1001, trial, 1, 32768),
            b = (int64_t)random_below(41, 1001, trial, 2, 32768);
    if (a < b + c) continue;
    for (int64_t i = 0; i < dim; i++) {
      q[i] = normal(42, trial * 256 + (uint64_t)i) / sqrt((double)dim);
      k[i] = normal(43, trial * 256 + (uint64_t)i) / sqrt((double)dim);
    }
    double by_key = rotated_score(q, k, dim, 10000, a, b + c), by_query = rotated_score(q, k, dim, 10000, a - c, b);
    largest = fmax(largest, fabs(by_key - by_query));
    double plain = 0;
    for (int64_t i = 0; i < dim; i++) plain += q[i] * k[i];
    CHECK_NEAR(rotated_score(q, k, dim, 10000, a, a), plain, 1e-12);
    CHECK(b + c == a || fabs(rotated_score(q, k, dim, 10000, a, b + c) - plain) > 0);
  }
  CHECK(largest > 0 && largest < 1e-12);
}

int main(void) {
  RUN(in_float32);
  RUN(in_bfloat16);
  RUN(what_is_stored_does_not_depend_on_pieces);
  RUN(a_code_of_its_own_inputs_predicts_them);
  RUN(maps_are_the_ridge_regressions);
  RUN(what_a_prediction_saves_is_what_it_explains);
  RUN(a_code_errs_as_its_grid);
  RUN(activations_have_no_cache);
  RUN(a_worker_sees_common_others_and_own);
  RUN(one_worker_is_ordinary_decoding);
  RUN(rotated_queries_have_the_scores_of_rotated_keys);
  return check_end();
}
