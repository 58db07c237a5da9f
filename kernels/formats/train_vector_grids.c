// Run when isoloss is built: trains the vector grids on Gaussian data and prints them as C. Lloyd's algorithm (1957/1982)
// on Philox samples from a spread-out start; the same source gives the same grids.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"

enum { SAMPLES_LOG2_FIRST = 14, SAMPLES_LOG2_LAST = 18, BLOCK = 512, MOST_POINTS = 256, MOST_DIMENSIONS = 4 };

struct training {
  int dimension, count;
  long samples;
  float *data[MOST_DIMENSIONS];                   // coordinates of the samples
  float points[MOST_DIMENSIONS][MOST_POINTS];
  double sums[MOST_DIMENSIONS][MOST_POINTS];
  long counts[MOST_POINTS];
};

// Optimal points lie as dense as the data's density to the power d / (d + 2): a Gaussian of variance (d + 2) / d. Two
// dimensions begin on a sunflower's spiral, four on an additive recurrence pushed through Box-Muller.
static void start(struct training *t) {
  double spread = sqrt((t->dimension + 2.0) / t->dimension);
  for (int i = 0; i < t->count; i++) {
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

// Every sample goes to its nearest point, every point to the mean of its samples.
static void iterate(struct training *t, long samples) {
  memset(t->sums, 0, sizeof t->sums);
  memset(t->counts, 0, sizeof t->counts);
  float half_norms[MOST_POINTS];
  for (int point = 0; point < t->count; point++) {
    half_norms[point] = 0;
    for (int d = 0; d < t->dimension; d++) half_norms[point] += 0.5f * t->points[d][point] * t->points[d][point];
  }
  for (long at = 0; at < samples; at += BLOCK) {
    float best[BLOCK];
    int nearest[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
      best[i] = -1e30f;
      nearest[i] = 0;
    }
    for (int point = 0; point < t->count; point++) {
      float score[BLOCK];
      for (int i = 0; i < BLOCK; i++) score[i] = -half_norms[point];
      for (int d = 0; d < t->dimension; d++)
        for (int i = 0; i < BLOCK; i++) score[i] += t->points[d][point] * t->data[d][at + i];
      for (int i = 0; i < BLOCK; i++) {
        nearest[i] = score[i] > best[i] ? point : nearest[i];
        best[i] = score[i] > best[i] ? score[i] : best[i];
      }
    }
    for (int i = 0; i < BLOCK; i++) {
      t->counts[nearest[i]]++;
      for (int d = 0; d < t->dimension; d++) t->sums[d][nearest[i]] += (double)t->data[d][at + i];
    }
  }
  for (int point = 0; point < t->count; point++)
    if (t->counts[point])
      for (int d = 0; d < t->dimension; d++)
        t->points[d][point] = (float)(t->sums[d][point] / (double)t->counts[point]);
}

int main(void) {
  static const int sizes[][3] = {{2, 4, 40}, {2, 16, 60}, {2, 64, 60}, {2, 256, 40}, {4, 16, 60}, {4, 256, 40}};
  enum { GRIDS = sizeof sizes / sizeof sizes[0] };
  static struct training training;
  long most = 1L << SAMPLES_LOG2_LAST;
  for (int d = 0; d < MOST_DIMENSIONS; d++) {
    training.data[d] = malloc((size_t)most * sizeof(float));
    if (!training.data[d]) return 1;
  }
  printf("// Trained on Gaussian data by train_vector_grids.c when isoloss was built.\n");
  for (int grid = 0; grid < GRIDS; grid++) {
    struct training *t = &training;
    t->samples = most;
    if (grid == 0 || sizes[grid][0] != t->dimension) {
      t->dimension = sizes[grid][0];
      draw(t);
    }
    t->count = sizes[grid][1];
    start(t);
    // Few samples move the points far, many place them well.
    for (int power = SAMPLES_LOG2_FIRST; power <= SAMPLES_LOG2_LAST; power++) {
      int iterations = power == SAMPLES_LOG2_FIRST ? 2 * sizes[grid][2] : sizes[grid][2] >> (power - SAMPLES_LOG2_FIRST);
      for (int i = 0; i < iterations; i++) iterate(t, 1L << power);
    }
    printf("static const float vector_grid_%d_%d[] = {", t->dimension, t->count);
    for (int d = 0; d < t->dimension; d++)
      for (int point = 0; point < t->count; point++)
        printf("%s%.9g%s", (d * t->count + point) % 8 ? " " : "\n    ", (double)t->points[d][point], ",");
    printf("\n};\n");
  }
  printf("static const struct vector_grid vector_grids[] = {\n");
  for (int grid = 0; grid < GRIDS; grid++)
    printf("    {%d, %d, vector_grid_%d_%d},\n", sizes[grid][0], sizes[grid][1], sizes[grid][0], sizes[grid][1]);
  printf("    {0, 0, 0},\n};\n");
  for (int d = 0; d < MOST_DIMENSIONS; d++) free(training.data[d]);
  return 0;
}
