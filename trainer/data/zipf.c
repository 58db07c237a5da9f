// See zipf.h.
#include "trainer/data/zipf.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

struct zipf zipf_new(int64_t count, double exponent) {
  struct zipf zipf = {.count = count, .exponent = exponent, .guide_count = count < 65536 ? count : 65536};
  zipf.cumulative = memory_get((size_t)count * sizeof *zipf.cumulative);
  zipf.guide = memory_get((size_t)(zipf.guide_count + 1) * sizeof *zipf.guide);
  // The weights first, summed in long double: the tail of millions of ids then stays exact to the last bits of a
  // double.
  long double total = 0, moment = 0;
  for (int64_t k = count - 1; k >= 0; k--) {
    double log_weight = -exponent * log((double)(k + 1));
    zipf.cumulative[k] = exp(log_weight);
    total += (long double)zipf.cumulative[k];
    moment += (long double)zipf.cumulative[k] * (long double)log_weight;
  }
  zipf.log_total = (double)logl(total);
  zipf.entropy = (double)(logl(total) - moment / total);  // -sum p ln p with p = weight / total
  long double below = 0;
  for (int64_t k = 0; k < count; k++) {
    below += (long double)zipf.cumulative[k];
    zipf.cumulative[k] = (double)(below / total);
  }
  zipf.cumulative[count - 1] = 1;
  int64_t rank = 0;
  for (int64_t j = 0; j <= zipf.guide_count; j++) {
    while (rank < count - 1 && zipf.cumulative[rank] <= (double)j / (double)zipf.guide_count) rank++;
    zipf.guide[j] = (uint32_t)rank;
  }
  return zipf;
}

void zipf_free(struct zipf *zipf) {
  free(zipf->cumulative);
  free(zipf->guide);
  *zipf = (struct zipf){0};
}

int64_t zipf_rank(const struct zipf *zipf, double u) {
  int64_t slot = (int64_t)(u * (double)zipf->guide_count);
  // One slot of slack below: u * guide_count may have been rounded up to the next slot.
  int64_t low = zipf->guide[slot > 0 ? slot - 1 : 0];
  int64_t high = zipf->guide[slot < zipf->guide_count ? slot + 1 : zipf->guide_count];
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (zipf->cumulative[middle] > u)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

double zipf_log_probability(const struct zipf *zipf, int64_t rank) {
  return -zipf->exponent * log((double)(rank + 1)) - zipf->log_total;
}
