// Keyed permutations and the Zipf sampler: what synthetic sources and the order of training rest on.
#include <stdint.h>
#include <stdlib.h>

#include "base/philox.h"
#include "tests/check.h"
#include "trainer/data/permutation.h"
#include "trainer/data/zipf.h"

static bool is_bijection(uint64_t key, uint64_t count) {
  struct permutation p = permutation(key, count);
  uint8_t *seen = calloc(count, 1);
  bool fine = true;
  for (uint64_t i = 0; i < count && fine; i++) {
    uint64_t to = permute(&p, i);
    fine = to < count && !seen[to];
    if (fine) seen[to] = 1;
  }
  free(seen);
  return fine;
}

static void permutes(void) {
  for (uint64_t count = 1; count < 200; count++)
    for (uint64_t key = 0; key < 3; key++) CHECK(is_bijection(key * 77 + count, count));
  CHECK(is_bijection(5, 65536));
  CHECK(is_bijection(6, 65537));
  CHECK(is_bijection(7, 1000003));
}

static void permutes_differently(void) {
  struct permutation a = permutation(1, 1000), b = permutation(2, 1000), again = permutation(1, 1000);
  int equal = 0, fixed = 0;
  for (uint64_t i = 0; i < 1000; i++) {
    equal += permute(&a, i) == permute(&b, i);
    fixed += permute(&a, i) == i;
    CHECK(permute(&a, i) == permute(&again, i));
  }
  CHECK(equal < 15 && fixed < 15);  // one is expected of each
}

// Over many keys, where index i of few goes must be uniform, and so must pairs of neighbours.
static void permutes_uniformly(void) {
  for (uint64_t count = 2; count <= 64; count = count < 12 ? count + 1 : count * 3 / 2) {
    enum { KEYS = 20000 };
    double expected = (double)KEYS / (double)count;
    double *hits = calloc(count, sizeof *hits), *steps = calloc(count, sizeof *steps);
    for (uint64_t key = 0; key < KEYS; key++) {
      struct permutation p = permutation(mix64(key), count);
      uint64_t first = permute(&p, 0), second = permute(&p, 1);
      hits[first]++;
      steps[(second - first + count) % count]++;
    }
    double chi = 0, chi_steps = 0;
    for (uint64_t i = 0; i < count; i++) {
      chi += (hits[i] - expected) * (hits[i] - expected) / expected;
      double wanted = (double)KEYS / (double)(count - 1);
      if (i) chi_steps += (steps[i] - wanted) * (steps[i] - wanted) / wanted;
    }
    CHECK(steps[0] == 0);
    // Chi-squared: mean n - 1, standard deviation sqrt(2 (n - 1)); five of them are never reached by luck.
    double free_cells = (double)count - 1;
    CHECK(chi < free_cells + 5 * sqrt(2 * free_cells));
    if (count > 2) CHECK(chi_steps < free_cells - 1 + 5 * sqrt(2 * (free_cells - 1)));
    free(hits);
    free(steps);
  }
}

static void zipf_inverts(void) {
  struct zipf zipf = zipf_new(5, 1);
  double total = 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4 + 1.0 / 5, below = 0, entropy = 0;
  for (int k = 0; k < 5; k++) {
    double p = 1 / (k + 1.0) / total;
    CHECK_NEAR(zipf_log_probability(&zipf, k), log(p), 1e-14);
    CHECK(zipf_rank(&zipf, below + 1e-12) == k);
    below += p;
    CHECK(zipf_rank(&zipf, below - 1e-12) == k);
    entropy -= p * log(p);
  }
  CHECK_NEAR(zipf.entropy, entropy, 1e-14);
  CHECK(zipf_rank(&zipf, 0) == 0);
  CHECK(zipf_rank(&zipf, 1 - 0x1p-53) == 4);
  zipf_free(&zipf);
}

// The guide table finds the same rank as a search of the whole table.
static void zipf_guide(void) {
  struct zipf zipf = zipf_new(200000, 1.5);
  for (uint64_t i = 0; i < 20000; i++) {
    double u = random_uniform(1, RANDOM_STREAM_MONTE_CARLO, 0, i);
    int64_t low = 0, high = zipf.count - 1;
    while (low < high) {
      int64_t middle = (low + high) / 2;
      if (zipf.cumulative[middle] > u)
        high = middle;
      else
        low = middle + 1;
    }
    if (!CHECK(zipf_rank(&zipf, u) == low)) break;
  }
  zipf_free(&zipf);
}

// Published: V = 256, exponent 1.2 has entropy 3.6666 nats; uniform has ln V.
static void zipf_entropies(void) {
  struct zipf zipf = zipf_new(256, 1.2);
  CHECK_NEAR(zipf.entropy, 3.6666, 5e-5);
  zipf_free(&zipf);
  zipf = zipf_new(64, 0);
  CHECK_NEAR(zipf.entropy, log(64), 1e-14);
  zipf_free(&zipf);
}

int main(int argc, char **argv) {
  RUN(permutes);
  RUN(permutes_differently);
  RUN(permutes_uniformly);
  RUN(zipf_inverts);
  RUN(zipf_guide);
  RUN(zipf_entropies);
  return check_end();
}
