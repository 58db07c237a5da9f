// The projection on sparse matrices against all masks of 12 entries, and on patterns.
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "tests/check.h"
#include "trainer/compress/compress.h"

static struct compress_settings settings_of(const char *sparsity, const char *pattern, struct arena *arena) {
  struct compress_settings settings;
  struct error error = {0};
  const struct compress_method *elsa = compress_method_find("elsa", NULL);
  compress_default(&settings, elsa);
  CHECK(compress_set(&settings, compress_setting_find(elsa, "sparsity", NULL), sparsity, arena, &error));
  CHECK(compress_set(&settings, compress_setting_find(elsa, "pattern", NULL), pattern, arena, &error));
  CHECK(compress_resolve(&settings, arena, &error));
  return settings;
}

static void draw(float *x, int count, uint64_t seed) {
  for (int i = 0; i < count; i++) x[i] = (float)random_uniform(seed, RANDOM_STREAM_NOISE, 0, (uint64_t)i) - 0.5F;
}

// sum of importance (x - z)^2.
static double distance(const float *x, const float *z, const float *importance, int count) {
  double sum = 0;
  for (int i = 0; i < count; i++) sum += (importance ? (double)importance[i] : 1) * pow((double)x[i] - (double)z[i], 2);
  return sum;
}

// The least distance over all masks that keep `kept`, in each of stretches of `every` entries.
static double least(const float *x, const float *importance, int count, int every, int kept) {
  double best = INFINITY;
  for (unsigned mask = 0; mask < 1U << count; mask++) {
    bool allowed = true;
    float z[12];
    for (int at = 0; at < count && allowed; at += every)
      allowed = __builtin_popcount(mask >> at & ((1U << every) - 1)) == kept;
    if (!allowed) continue;
    for (int i = 0; i < count; i++) z[i] = mask >> i & 1 ? x[i] : 0;
    best = fmin(best, distance(x, z, importance, count));
  }
  return best;
}

static int nonzero(const float *z, int count) {
  int found = 0;
  for (int i = 0; i < count; i++) found += z[i] != 0;
  return found;
}

static void no_mask_is_nearer(void) {
  struct arena arena = {0};
  static const char *const shares[] = {"0.25", "0.5", "0.75", "0.9", "1"};
  const struct compress_layer layer = {.outputs = 3, .inputs = 4};
  for (uint64_t seed = 0; seed < 10; seed++)
    for (int s = 0; s < 5; s++) {
      struct compress_settings settings = settings_of(shares[s], "", &arena);
      float x[12], importance[12], z[12];
      int kept = 12 - (int)llround(settings.sparsity * 12);
      draw(x, 12, seed);
      draw(importance, 12, seed + 100);
      for (int i = 0; i < 12; i++) importance[i] = fabsf(importance[i]);
      compress_project(&settings, &layer, x, NULL, z);
      CHECK_NEAR(distance(x, z, NULL, 12), least(x, NULL, 12, 12, kept), 1e-12);
      CHECK(nonzero(z, 12) == kept);
      compress_project(&settings, &layer, x, importance, z);
      CHECK_NEAR(distance(x, z, importance, 12), least(x, importance, 12, 12, kept), 1e-12);
      CHECK(nonzero(z, 12) == kept);
    }
  arena_free(&arena);
}

static void patterns_are_kept(void) {
  struct arena arena = {0};
  static const struct {
    const char *text;
    int n, m;
  } patterns[] = {{"2:4", 2, 4}, {"1:4", 1, 4}, {"1:2", 1, 2}};
  const struct compress_layer layer = {.outputs = 3, .inputs = 4};
  for (uint64_t seed = 0; seed < 10; seed++)
    for (int p = 0; p < 3; p++) {
      struct compress_settings settings = settings_of("0.5", patterns[p].text, &arena);
      float x[12], z[12];
      draw(x, 12, seed);
      compress_project(&settings, &layer, x, NULL, z);
      CHECK_NEAR(distance(x, z, NULL, 12), least(x, NULL, 12, patterns[p].m, patterns[p].n), 1e-12);
      for (int at = 0; at < 12; at += patterns[p].m) CHECK(nonzero(z + at, patterns[p].m) == patterns[p].n);
    }
  arena_free(&arena);
}

// Stacked matrices choose for themselves, whatever their sizes of values.
static void parts_choose_for_themselves(void) {
  struct arena arena = {0};
  struct compress_settings settings = settings_of("0.5", "", &arena);
  const struct compress_layer layer = {.outputs = 3, .inputs = 4, .parts = 2, .part_outputs = {1, 2}};
  float x[12], z[12];
  draw(x, 12, 1);
  for (int i = 0; i < 4; i++) x[i] *= 1000;
  compress_project(&settings, &layer, x, NULL, z);
  CHECK(nonzero(z, 4) == 2);
  CHECK(nonzero(z + 4, 8) == 4);
  arena_free(&arena);
}

static void among_equals_the_earlier_is_kept(void) {
  struct arena arena = {0};
  struct compress_settings settings = settings_of("0.75", "", &arena);
  const struct compress_layer layer = {.outputs = 1, .inputs = 8};
  const float x[8] = {0, 1, -1, 1, -1, 1, 1, 1};
  float z[8];
  compress_project(&settings, &layer, x, NULL, z);
  CHECK(z[1] == 1 && z[2] == -1 && nonzero(z, 8) == 2);
  arena_free(&arena);
}

int main(void) {
  check_run(no_mask_is_nearer, "no mask of as many entries is nearer, plain or weighed");
  check_run(patterns_are_kept, "of every M neighbours the N that are nearest");
  check_run(parts_choose_for_themselves, "stacked matrices choose for themselves");
  check_run(among_equals_the_earlier_is_kept, "among equals the earlier one is kept");
  return check_end();
}
