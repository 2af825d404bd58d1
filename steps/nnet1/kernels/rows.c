/* What a feed-forward network does besides its large products.
 *
 * Layout: row-major float32 without gaps. Threads share rows, or columns where rows are summed over, so the bits do
 * not depend on their number.
 */
#include <math.h>

#include "vectors.h"

#define TILE 256
#define BLOCK 32

/* STEP(k, lanes) for the columns [from, to): whole vectors, then what is left. */
#define IN_LANES(STEP, from, to)                          \
  {                                                       \
    int k = from;                                         \
    for (; k + LANES <= to; k += LANES) { STEP(k, LANES); } \
    if (k < to) { STEP(k, to - k); }                      \
  }

INLINE void sigmoid_row(int n, const float *bias, float *y) {
#define SIGMOID_OF(k, lanes) store_part(y + k, sigmoid_v(load_part(y + k, lanes) + load_part(bias + k, lanes)), lanes)
  IN_LANES(SIGMOID_OF, 0, n)
#undef SIGMOID_OF
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

/* y [rows, n] = x w' for one or two rows of x [rows, k_dim] and up to four of w [n, k_dim]; the rows of y are ldy apart. */
INLINE void dot_block(const int rows, const int n, int k_dim, const float *x, const float *w, float *y, int ldy) {
  vec acc[2][4] = {{{0}}};
#define ADD(k, lanes)                                                                              \
  for (int j = 0; j < n; j++) {                                                                    \
    const vec weight = load_part(w + (ptrdiff_t)j * k_dim + k, lanes);                             \
    for (int r = 0; r < rows; r++) acc[r][j] += load_part(x + (ptrdiff_t)r * k_dim + k, lanes) * weight; \
  }
  IN_LANES(ADD, 0, k_dim)
#undef ADD
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < n; j++) {
      float total = 0;
      for (int lane = 0; lane < LANES; lane++) total += acc[r][j][lane];
      y[r * ldy + j] = total;
    }
}

INLINE void dot_rows(const int rows, int k_dim, int n, const float *x, const float *w, float *y) {
#define DOT(count) dot_block(rows, count, k_dim, x, w + (ptrdiff_t)j * k_dim, y + j, n)
  int j = 0;
  for (; j + 4 <= n; j += 4) DOT(4);
  for (; j + 2 <= n; j += 2) DOT(2);
  if (j < n) DOT(1);
#undef DOT
}

/* y [to, n] = x w' in the rows [from, to), for x [to, k_dim] and w [n, k_dim] with few rows. */
static void dot_product(range rows, int k_dim, int n, const float *x, const float *w, float *y) {
  int r = rows.from;
  for (; r + 2 <= rows.to; r += 2) dot_rows(2, k_dim, n, x + (ptrdiff_t)r * k_dim, w, y + (ptrdiff_t)r * n);
  if (r < rows.to) dot_rows(1, k_dim, n, x + (ptrdiff_t)r * k_dim, w, y + (ptrdiff_t)r * n);
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
#define BACK(k, lanes)                                                      \
  vec out[2], back[2] = {{0}};                                              \
  for (int r = 0; r < rows; r++) out[r] = load_part(h + (ptrdiff_t)r * hidden + k, lanes); \
  for (int j = 0; j < n; j++) {                                             \
    float *to = grad_w + (ptrdiff_t)j * hidden + k;                         \
    const vec weight = load_part(w + (ptrdiff_t)j * hidden + k, lanes);     \
    vec grad = load_part(to, lanes);                                        \
    for (int r = 0; r < rows; r++) {                                        \
      back[r] += d[r * n + j] * weight;                                     \
      grad += d[r * n + j] * out[r];                                        \
    }                                                                       \
    store_part(to, grad, lanes);                                            \
  }                                                                         \
  vec total = load_part(grad_h + k, lanes);                                 \
  for (int r = 0; r < rows; r++) {                                          \
    back[r] *= out[r] * (1.0f - out[r]);                                    \
    store_part(h + (ptrdiff_t)r * hidden + k, back[r], lanes);              \
    total += back[r];                                                       \
  }                                                                         \
  store_part(grad_h + k, total, lanes)
  IN_LANES(BACK, columns.from, columns.to)
#undef BACK
}

/* The end of a network forward and back, a block of frames that stays in the cache at a time: bias and sigmoid of
 * the last hidden layer, the classes' affine transform, softmax, cross-entropy, derivatives.
 *
 * h [rows, hidden] holds the product of the hidden layer on entry, the derivative there on return; y and diff
 * [rows, n] are the outputs and their derivatives; the gradients are those of bias_h, w [n, hidden] and bias [n]. */
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
      dot_product(mine, hidden, n, h, w, y);
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
