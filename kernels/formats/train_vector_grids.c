// Run when isoloss is built: trains the vector grids on Gaussian data and prints them as C. Lloyd's algorithm
// (1957/1982) on Philox samples from a spread-out start; the same source gives the same grids.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"

enum { SAMPLES_LOG2_FIRST = 14, SAMPLES_LOG2_LAST = 18, BLOCK = 512, MOST_POINTS = 256, MOST_DIMENSIONS = 4 };

struct training {
  int dimension, count;
  long samples;
  float *data[MOST_DIMENSIONS];  // coordinates of the samples
  float points[MOST_DIMENSIONS][MOST_POINTS];
  double sums[MOST_DIMENSIONS][MOST_POINTS];
  long counts[MOST_POINTS];
};

// Optimal points lie as dense as the data's density to the power d / (d + 2): a Gaussian of variance (d + 2) / d. Two
// dimensions begin on a sunflower's spiral, four on an additive recurrence pushed through Box-Muller.
// Later attempts begin on samples.
static void start(struct training *t, int attempt) {
  double spread = sqrt((t->dimension + 2.0) / t->dimension);
  for (int i = 0; i < t->count; i++) {
    if (attempt > 0) {
      for (int d = 0; d < t->dimension; d++) t->points[d][i] = (float)spread * t->data[d][attempt * MOST_POINTS + i];
      continue;
    }
    if (t->dimension == 2) {
      double radius = spread * sqrt(-2 * log(1 - (i + 0.5) / t->count)), angle = 2.399963229728653 * i;
      t->points[0][i] = (float)(radius * cos(angle));
      t->points[1][i] = (float)(radius * sin(angle));
    } else {
      const double steps[4] = {0.8566748838545029, 0.7338918566271260, 0.6287067210378087, 0.5385972572236101};
      double u[4];
      for (int d = 0; d < 4; d++) u[d] = fmod(0.5 + steps[d] * (i + 1), 1);
      for (int d = 0; d < 4; d += 2) {
        double radius = spread * sqrt(-2 * log(1 - u[d] * 0.9999 - 0.00005)), angle = 6.283185307179586 * u[d + 1];
        t->points[d][i] = (float)(radius * cos(angle));
        t->points[d + 1][i] = (float)(radius * sin(angle));
      }
    }
  }
}

static void draw(struct training *t) {
  for (int d = 0; d < t->dimension; d += 2)
    for (long i = 0; i < t->samples; i++) {
      double pair[2];
      random_normal_pair((uint64_t)t->dimension, RANDOM_STREAM_MONTE_CARLO, (uint64_t)d, (uint64_t)i, pair);
      t->data[d][i] = (float)pair[0];
      t->data[d + 1][i] = (float)pair[1];
    }
}

typedef float vfloat __attribute__((vector_size(16)));
typedef int vint __attribute__((vector_size(16)));
enum { LANES = 4 };

// For BLOCK samples from `at`: the score (p.x - |p|^2 / 2, largest for the nearest) and number of the nearest point.
static void search(const struct training *t, long at, float best[BLOCK], int nearest[BLOCK]) {
  float half_norms[MOST_POINTS];
  for (int point = 0; point < t->count; point++) {
    half_norms[point] = 0;
    for (int d = 0; d < t->dimension; d++) half_norms[point] += 0.5f * t->points[d][point] * t->points[d][point];
  }
  for (int i = 0; i < BLOCK; i += LANES) {
    vfloat x[MOST_DIMENSIONS] = {{0}}, top = (vfloat){0} - 1e30f;
    vint index = {0};
    for (int d = 0; d < t->dimension; d++) memcpy(&x[d], t->data[d] + at + i, sizeof x[d]);
    for (int point = 0; point < t->count; point++) {
      vfloat score = x[0] * t->points[0][point] + x[1] * t->points[1][point] - half_norms[point];
      if (t->dimension == 4) score += x[2] * t->points[2][point] + x[3] * t->points[3][point];
      vint better = score > top;
      top = (vfloat)(((vint)score & better) | ((vint)top & ~better));
      index = (better & point) | (index & ~better);
    }
    memcpy(best + i, &top, sizeof top);
    memcpy(nearest + i, &index, sizeof index);
  }
}

// Every sample goes to its nearest point, every point to the mean of its samples. Returns the mean score.
static double iterate(struct training *t, long samples) {
  memset(t->sums, 0, sizeof t->sums);
  memset(t->counts, 0, sizeof t->counts);
  double sum = 0;
  for (long at = 0; at < samples; at += BLOCK) {
    float best[BLOCK];
    int nearest[BLOCK];
    search(t, at, best, nearest);
    for (int i = 0; i < BLOCK; i++) {
      sum += (double)best[i];
      t->counts[nearest[i]]++;
      for (int d = 0; d < t->dimension; d++) t->sums[d][nearest[i]] += (double)t->data[d][at + i];
    }
  }
  for (int point = 0; point < t->count; point++)
    if (t->counts[point])
      for (int d = 0; d < t->dimension; d++)
        t->points[d][point] = (float)(t->sums[d][point] / (double)t->counts[point]);
  return sum / (double)samples;
}

int main(void) {
  static const struct {
    int dimension, count, iterations, attempts;
  } sizes[] = {{2, 4, 40, 1}, {2, 16, 60, 8}, {2, 64, 60, 3}, {2, 256, 40, 1}, {4, 16, 60, 4}, {4, 256, 40, 1}};
  enum { GRIDS = sizeof sizes / sizeof sizes[0] };
  static struct training training, found;
  long most = 1L << SAMPLES_LOG2_LAST;
  for (int d = 0; d < MOST_DIMENSIONS; d++) {
    training.data[d] = malloc((size_t)most * sizeof(float));
    if (!training.data[d]) return 1;
  }
  printf("// Trained on Gaussian data by train_vector_grids.c when isoloss was built.\n");
  for (int grid = 0; grid < GRIDS; grid++) {
    struct training *t = &training;
    t->samples = most;
    if (sizes[grid].dimension != t->dimension) {
      t->dimension = sizes[grid].dimension;
      draw(t);
    }
    t->count = sizes[grid].count;
    // Of several starts on few samples the best one continues: few samples move the points far, many place them well.
    double best = -1e30;
    for (int attempt = 0; attempt < sizes[grid].attempts; attempt++) {
      double score = 0;
      start(t, attempt);
      for (int i = 0; i < 2 * sizes[grid].iterations; i++) score = iterate(t, 1L << SAMPLES_LOG2_FIRST);
      if (score > best) {
        best = score;
        found = *t;
      }
    }
    *t = found;
    for (int power = SAMPLES_LOG2_FIRST + 1; power <= SAMPLES_LOG2_LAST; power++)
      for (int i = 0; i < sizes[grid].iterations >> (power - SAMPLES_LOG2_FIRST); i++) iterate(t, 1L << power);
    printf("static const float vector_grid_%d_%d[] = {", t->dimension, t->count);
    for (int d = 0; d < t->dimension; d++)
      for (int point = 0; point < t->count; point++)
        printf("%s%.9g%s", (d * t->count + point) % 8 ? " " : "\n    ", (double)t->points[d][point], ",");
    printf("\n};\n");
  }
  printf("static const struct vector_grid vector_grids[] = {\n");
  for (int grid = 0; grid < GRIDS; grid++)
    printf("    {%d, %d, vector_grid_%d_%d},\n", sizes[grid].dimension, sizes[grid].count, sizes[grid].dimension,
           sizes[grid].count);
  printf("    {0, 0, 0},\n};\n");
  for (int d = 0; d < MOST_DIMENSIONS; d++) free(training.data[d]);
  return 0;
}
