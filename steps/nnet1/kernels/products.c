/* Products of large matrices in float32: C [M, N] = alpha A B + beta C, for A and B of contiguous rows or columns
 * and a C of contiguous rows.
 *
 * As is usual, blocks of A and B that stay in a cache are copied to panels of HEIGHT rows and WIDTH columns, and a
 * tile of C of that size is summed in registers. Every element of C is summed in one order, which neither the
 * number of threads (they share the columns) nor the other rows and columns can change.
 */
#include "vectors.h"

#include <stdlib.h>

#if defined(__AVX512F__)
#define HEIGHT 12
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX__)
#define HEIGHT 6
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define HEIGHT 4
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#endif
_Static_assert(HEIGHT <= LANES, "panels of A are packed a vector at a time");
#define WIDTH (2 * LANES)
#define DEPTH 320 /* a panel of B of this depth stays in the first cache */
#define BLOCK_ROWS (20 * HEIGHT)
#define BLOCK_COLUMNS 1024

typedef struct {
  const float *data;
  ptrdiff_t across, down; /* steps along the width of a panel, and along the depth */
} operand;

/* LANES vectors of LANES values: columns become rows. */
INLINE void transpose(vec *v) {
  vec w[LANES];
  for (int stage = 1; stage < LANES; stage *= 2) {
    for (int i = 0; i < LANES / 2; i++) {
      w[2 * i] = SHUFFLE(v[i], v[i + LANES / 2], LOW);
      w[2 * i + 1] = SHUFFLE(v[i], v[i + LANES / 2], HIGH);
    }
    memcpy(v, w, sizeof w);
  }
}

/* One panel [depth, width] of which count columns are there, the others zero. Writes up to LANES values more. */
INLINE void pack_panel(const int width, operand from, int count, int depth, float scale, float *to) {
  if (from.across == 1) {
    for (int k = 0; k < depth; k++)
      for (int w = 0; w < width; w += LANES) {
        const float *row = from.data + k * from.down + w;
        const int left = count == width ? width - w : count - w; /* known to the compiler if all are there */
        store(to + (ptrdiff_t)k * width + w, scale * (left > 0 ? load_part(row, left) : all(0)));
      }
    return;
  }
  for (int k = 0; k < depth; k += LANES) {
    const int deep = depth - k < LANES ? depth - k : LANES;
    for (int w = 0; w < width; w += LANES) {
      vec block[LANES];
      for (int i = 0; i < LANES; i++)
        block[i] = w + i < count ? load_part(from.data + (w + i) * from.across + k, deep) : all(0);
      transpose(block);
      for (int i = 0; i < deep; i++) store(to + (ptrdiff_t)(k + i) * width + w, scale * block[i]);
    }
  }
}

/* A tile of C: rows * WIDTH sums over the depth of a panel of A [depth, HEIGHT] and one of B [depth, WIDTH]. */
INLINE void tile(const int rows, const int columns, int depth, const float *a, const float *b, float beta, float *c,
                 ptrdiff_t step) {
  vec sum[HEIGHT][2];
  for (int i = 0; i < HEIGHT; i++) sum[i][0] = sum[i][1] = all(0);
  for (int k = 0; k < depth; k++) {
    const vec left = load(b + (ptrdiff_t)k * WIDTH), right = load(b + (ptrdiff_t)k * WIDTH + LANES);
    for (int i = 0; i < HEIGHT; i++) {
      const vec value = all(a[(ptrdiff_t)k * HEIGHT + i]);
      sum[i][0] += value * left;
      sum[i][1] += value * right;
    }
  }
  for (int i = 0; i < rows; i++)
    for (int half = 0; half < 2; half++) {
      const int count = columns - half * LANES;
      float *to = c + i * step + half * LANES;
      if (count <= 0) continue;
      vec value = sum[i][half];
      if (beta != 0) value += beta * load_part(to, count);
      store_part(to, value, count);
    }
}

/* The rows of C of one block: panels of A from packed_a, of B from packed_b. */
static void multiply_block(int rows, int columns, int depth, const float *packed_a, const float *packed_b, float beta,
                           float *c, ptrdiff_t step) {
  for (int j = 0; j < columns; j += WIDTH)
    for (int i = 0; i < rows; i += HEIGHT) {
      const int high = rows - i < HEIGHT ? rows - i : HEIGHT, wide = columns - j < WIDTH ? columns - j : WIDTH;
      const float *a = packed_a + (ptrdiff_t)i * depth, *b = packed_b + (ptrdiff_t)j * depth;
      if (high == HEIGHT && wide == WIDTH) tile(HEIGHT, WIDTH, depth, a, b, beta, c + i * step + j, step);
      else tile(high, wide, depth, a, b, beta, c + i * step + j, step);
    }
}

static float *buffer(int which, size_t count) {
  static _Thread_local float *kept[2];
  static _Thread_local size_t size[2];
  if (size[which] < count) {
    free(kept[which]);
    size[which] = (count + 15) / 16 * 16;
    kept[which] = aligned_alloc(64, size[which] * sizeof(float));
    if (!kept[which]) abort();
  }
  return kept[which];
}

static void pack(const int width, operand from, int count, int depth, float scale, float *to) {
  for (int w = 0; w < count; w += width) {
    const operand part = {from.data + w * from.across, from.across, from.down};
    pack_panel(width, part, count - w < width ? count - w : width, depth, scale, to + (ptrdiff_t)w * depth);
  }
}

void multiply(int threads, int m, int n, int k, float alpha, const float *a, ptrdiff_t a_row, ptrdiff_t a_column,
              const float *b, ptrdiff_t b_row, ptrdiff_t b_column, float beta, float *c, ptrdiff_t c_row) {
  const int blocks = (k + DEPTH - 1) / DEPTH;
#pragma omp parallel num_threads(threads)
  {
    const range own = share(n);
    float *packed_a = buffer(0, (size_t)BLOCK_ROWS * DEPTH + WIDTH);
    float *packed_b = buffer(1, (size_t)BLOCK_COLUMNS * DEPTH + WIDTH);
    for (int j = own.from; j < own.to; j += BLOCK_COLUMNS) {
      const int columns = own.to - j < BLOCK_COLUMNS ? own.to - j : BLOCK_COLUMNS;
      for (int block = 0; block < blocks; block++) {
        const int from = (int)((long)k * block / blocks), depth = (int)((long)k * (block + 1) / blocks) - from;
        pack(WIDTH, (operand){b + from * b_row + j * b_column, b_column, b_row}, columns, depth, 1, packed_b);
        for (int i = 0; i < m; i += BLOCK_ROWS) {
          const int rows = m - i < BLOCK_ROWS ? m - i : BLOCK_ROWS;
          pack(HEIGHT, (operand){a + i * a_row + from * a_column, a_row, a_column}, rows, depth, alpha, packed_a);
          multiply_block(rows, columns, depth, packed_a, packed_b, block ? 1 : beta, c + i * c_row + j, c_row);
        }
      }
    }
  }
}
