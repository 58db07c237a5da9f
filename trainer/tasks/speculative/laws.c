// Next-token laws, their two moments, and what theory makes of these. See speculative.h.
#include <math.h>

#include "base/philox.h"
#include "trainer/tasks/speculative/speculative.h"

enum { STREAM_LAW = 43, STREAM_TEMPER = 44 };

void law_draw(const struct speculative *s, uint64_t seed, uint64_t tree, uint64_t index, double *p) {
  double between = random_uniform(seed, STREAM_TEMPER, tree, index), sum = 0;
  double temper = s->temper_low + (s->temper_high - s->temper_low) * between;
  for (int64_t v = 0; v < s->vocabulary; v++) {
    double u = random_uniform(seed, STREAM_LAW, tree, index * (uint64_t)s->vocabulary + (uint64_t)v);
    p[v] = pow(-log1p(-u), temper);  // Gamma(1) is the exponential law
    sum += p[v];
  }
  for (int64_t v = 0; v < s->vocabulary; v++) p[v] = sum > 0 ? p[v] / sum : v == 0;
}

void law_add(struct law_moments *sums, const double *p, int64_t vocabulary) {
  for (int64_t v = 0; v < vocabulary; v++) {
    if (!(p[v] > 0)) continue;
    double nats = log(p[v]);
    sums->mu -= p[v] * nats;
    sums->mu2 += p[v] * nats * nats;
  }
  sums->laws++;
}

void law_means(struct law_moments *sums) {
  sums->mu /= (double)sums->laws;
  sums->mu2 /= (double)sums->laws;
}

double law_renewal(const struct law_moments *m, double nodes) {
  return log(nodes * m->mu) / m->mu + m->mu2 / (2 * m->mu * m->mu) - 1;
}

double law_bound(const struct law_moments *m, double nodes) { return (m->mu + m->mu2) * log(nodes) / (m->mu * m->mu); }
