/* What a feed-forward network does besides its large products.
 *
 * Layout: row-major float32 without gaps. Threads share rows, or columns where rows are summed over, so the bits do
 * not depend on their number.
 */
#include <math.h>

#include "vectors.h"

#define TILE 256
#define BLOCK 32

static void sigmoid_row(int n, const float *bias, float *y) {
  for (int k = 0; k < n; k += LANES)
    store_part(y + k, sigmoid_v(load_part(y + k, n - k) + load_part(bias + k, n - k)), n - k);
}

static void softmax_row(int n, float *y) {
  float top = y[0], total = 0;
  for (int j = 1; j < n; j++) top = y[j] > top ? y[j] : top;
  for (int j = 0; j < n; j++) total += y[j] = expf(y[j] - top);
  for (int j = 0; j < n; j++) y[j] /= total;
}

enum { NOTHING, SIGMOID, SOFTMAX };

/* y [rows, n] += bias, and then the activation. */
void add_bias(int threads, int rows, int n, int activation, const float *bias, float *y) {
#pragma omp parallel num_threads(threads)
  {
    const range mine = share(rows);
    for (int r = mine.from; r < mine.to; r++) {
      float *row = y + (ptrdiff_t)r * n;
      if (activation == SIGMOID) sigmoid_row(n, bias, row);
      else
        for (int k = 0; k < n; k++) row[k] += bias[k];
      if (activation == SOFTMAX) softmax_row(n, row);
    }
  }
}

static int largest(int n, const float *values) {
  int best = 0;
  for (int j = 1; j < n; j++)
    if (values[j] > values[best]) best = j;
  return best;
}

/* Cross-entropy of outputs y and targets t [rows, n]: diff = (y - t) weight; adds to the sums [4, n] of frames,
 * -t log(y + floor), -t log(t + 1e-20) and right frames. With by_target, a frame also weighs the sum of its targets. */
static void cross_entropy(int rows, int n, int by_target, float floor, const float *y, const float *t,
                          const float *weights, float *diff, double *sums) {
  for (int r = 0; r < rows; r++, y += n, t += n, diff += n) {
    float weight = weights[r], of_targets = 0;
    for (int j = 0; j < n; j++) of_targets += t[j];
    if (by_target) weight *= of_targets;
    for (int j = 0; j < n; j++) {
      const float target = t[j] * weight;
      diff[j] = (y[j] - t[j]) * weight;
      sums[j] += target;
      sums[n + j] -= target != 0 ? target * logf(y[j] + floor) : target * y[j];
      if (target != 0) sums[2 * n + j] -= target * logf(t[j] + 1e-20f);
    }
    const int best = largest(n, t);
    if (largest(n, y) == best) sums[3 * n + best] += weight;
  }
}

/* One or two rows back: h [rows, hidden] becomes (d w) h (1 - h); adds d' h to grad_w and the new h to grad_h. */
INLINE void back_rows(const int rows, int hidden, int n, range columns, const float *d, const float *w, float *h,
                      float *grad_w, float *grad_h) {
  for (int k = columns.from; k < columns.to; k += LANES) {
    vec out[2], back[2] = {{0}}, total = load(grad_h + k);
    for (int r = 0; r < rows; r++) out[r] = load(h + (ptrdiff_t)r * hidden + k);
    for (int j = 0; j < n; j++) {
      float *to = grad_w + (ptrdiff_t)j * hidden + k;
      const vec weight = load(w + (ptrdiff_t)j * hidden + k);
      vec grad = load(to);
      for (int r = 0; r < rows; r++) {
        back[r] += d[r * n + j] * weight;
        grad += d[r * n + j] * out[r];
      }
      store(to, grad);
    }
    for (int r = 0; r < rows; r++) {
      back[r] *= out[r] * (1.0f - out[r]);
      store(h + (ptrdiff_t)r * hidden + k, back[r]);
      total += back[r];
    }
    store(grad_h + k, total);
  }
}

/* The end of a network forward and back, a block of frames that stays in the cache at a time: bias and sigmoid of
 * the last hidden layer, the classes' affine transform, softmax, cross-entropy, derivatives.
 *
 * h [rows, hidden] holds the product of the hidden layer on entry, the derivative there on return; y and diff
 * [rows, n] are the outputs and their derivatives; the gradients are those of bias_h, w [n, hidden] and bias [n].
 * hidden is a multiple of 16. */
void network_end(int threads, int rows, int hidden, int n, int by_target, float floor, const float *bias_h,
                 const float *w, const float *bias, const float *t, const float *weights, float *h, float *y,
                 float *diff, float *grad_h, float *grad_w, float *grad, double *sums) {
  memset(grad, 0, (size_t)n * sizeof(float));
#pragma omp parallel num_threads(threads)
  {
    const range columns = share(hidden);
    zero(grad_h, columns);
    for (int j = 0; j < n; j++) zero(grad_w + (ptrdiff_t)j * hidden, columns);
    for (int from = 0; from < rows; from += BLOCK) {
      const int to = from + BLOCK < rows ? from + BLOCK : rows;
      const range part = share(to - from), mine = {from + part.from, from + part.to};
      for (int r = mine.from; r < mine.to; r++) sigmoid_row(hidden, bias_h, h + (ptrdiff_t)r * hidden);
      dot_product(mine.to - mine.from, n, hidden, w, h + (ptrdiff_t)mine.from * hidden, y + mine.from * n, n, 0);
      for (int r = mine.from; r < mine.to; r++) {
        for (int j = 0; j < n; j++) y[r * n + j] += bias[j];
        softmax_row(n, y + r * n);
      }
#pragma omp barrier
#pragma omp single
      {
        cross_entropy(to - from, n, by_target, floor, y + from * n, t + from * n, weights + from, diff + from * n, sums);
        for (int k = from * n; k < to * n; k++) grad[k % n] += diff[k];
      }
      for (int k = columns.from; k < columns.to; k += TILE) {
        const range tile = {k, k + TILE < columns.to ? k + TILE : columns.to};
        int r = from;
#define BACK_ROWS(count) \
  back_rows(count, hidden, n, tile, diff + r * n, w, h + (ptrdiff_t)r * hidden, grad_w, grad_h)
        for (; r + 2 <= to; r += 2) BACK_ROWS(2);
        if (r < to) BACK_ROWS(1);
#undef BACK_ROWS
      }
    }
  }
}
