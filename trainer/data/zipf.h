// The Zipf distribution over ranks 0 .. count-1, P(k) proportional to (k + 1)^-exponent: sampling by exact inversion of
// its cumulative distribution, and its entropy.
#pragma once
#include <stdint.h>

struct zipf {
  int64_t count;
  double *cumulative;  // P(rank <= k); the last is 1
  uint32_t *guide;     // first rank whose cumulative probability passes j / guide_count
  int64_t guide_count;
  double log_total;  // ln of the sum of (k + 1)^-exponent
  double exponent;
  double entropy;  // nats
};

struct zipf zipf_new(int64_t count, double exponent);  // owned; zipf_free
void zipf_free(struct zipf *zipf);
// The rank at which the cumulative distribution first exceeds u in [0, 1).
int64_t zipf_rank(const struct zipf *zipf, double u);
double zipf_log_probability(const struct zipf *zipf, int64_t rank);  // ln P(rank)
