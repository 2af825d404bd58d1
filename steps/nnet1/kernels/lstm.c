/* The projected LSTM of nnet1 on interleaved streams: all frames of a chunk, forward and back.
 *
 * The recurrent products have as many rows as streams, so they are bound by reading the weights: each is
 * read once a frame for all streams. A value's sum has one order whatever the number of streams, so a
 * stream's bits do not change with its company.
 *
 * Layout: row-major float32. gates [T, S, 4N] in the order g, i, f, o; c [T + 1, S, N], r [T + 1, S, R] begin with
 * the state before the first frame; h, m [T, S, N]. Rows that are summed over (of both weights, of r, m
 * and their derivatives) are padded with zeros to an odd multiple of 16 columns: np for N, rp for R.
 *
 * Threads share the cells, the outputs and the columns of sums in runs of LANES, so that every value is summed
 * by one of them in the one order: the bits do not depend on their number, either.
 */
#include "vectors.h"

#define SIDE 16  /* streams side by side */
#define BLOCK 3  /* rows of weights whose sums with STREAMS streams fit into registers */
#define GROUP 12 /* rows whose sums wait together */
#define PANEL 256
#define KEPT 96

/* acc[i][s] += x[s] * w[i], lane by lane, for BLOCK rows and STREAMS streams: their sums are in registers. */
INLINE void dot_block(const float *const *w, const float *const *x, int k_len, ptrdiff_t ahead, vec *acc) {
  vec sum[BLOCK][STREAMS];
  for (int i = 0; i < BLOCK; i++)
    for (int s = 0; s < STREAMS; s++) sum[i][s] = acc[i * SIDE + s];
  for (int k = 0; k < k_len; k += LANES) {
    vec ws[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
      ws[i] = load(w[i] + k);
      IN_REGISTER(ws[i]);
      if (ahead) __builtin_prefetch(w[i] + k + ahead, 0, 1);
    }
    for (int s = 0; s < STREAMS; s++) {
      vec xs = load(x[s] + k);
      IN_REGISTER(xs);
      for (int i = 0; i < BLOCK; i++) sum[i][s] += ws[i] * xs;
    }
  }
  for (int i = 0; i < BLOCK; i++)
    for (int s = 0; s < STREAMS; s++) acc[i * SIDE + s] = sum[i][s];
}

/* y[s][row] (+)= x[s] . w[row] for GROUP rows and SIDE streams, or fewer: the last ones then stand for those that a
 * block lacks. Panels of x stay in the cache while all rows pass; the sums of lanes wait in acc meanwhile. */
static void dot_group(int s_dim, int rows, int k_dim, const float *w, const float *x, float *y, int ldy, int add,
                      int ahead) {
  vec acc[GROUP * SIDE] = {{0}};
  const int panel = s_dim > STREAMS ? PANEL : k_dim;
  for (int k = 0; k < k_dim; k += panel) {
    const int k_len = k_dim - k < panel ? k_dim - k : panel;
    for (int s = 0; s < s_dim; s += STREAMS) {
      const float *xs[STREAMS], *ws[BLOCK];
      for (int j = 0; j < STREAMS; j++) xs[j] = x + (ptrdiff_t)(s + j < s_dim ? s + j : s_dim - 1) * k_dim + k;
      for (int i = 0; i < rows; i += BLOCK) {
        for (int j = 0; j < BLOCK; j++) ws[j] = w + (ptrdiff_t)(i + j < rows ? i + j : rows - 1) * k_dim + k;
        dot_block(ws, xs, k_len, s ? 0 : ahead, acc + i * SIDE + s);
      }
    }
  }
  for (int i = 0; i < rows; i++)
    for (int s = 0; s < s_dim; s += LANES) {
      const vec total = sums(acc + i * SIDE + s);
      for (int j = 0; j < LANES && s + j < s_dim; j++) {
        float *to = y + (ptrdiff_t)(s + j) * ldy + i;
        *to = add ? *to + total[j] : total[j];
      }
    }
}

/* to [m_dim up to a multiple of 16, k_dim] has the weights w [m_dim, k_dim] in the order in which dot_one reads them. */
void lay_out(int m_dim, int k_dim, const float *w, float *to) {
  for (int m = 0; m < m_dim; m += LANES)
    for (int k = 0; k < k_dim; k += LANES)
      for (int i = 0; i < LANES; i++, to += LANES)
        store(to, load(w + (ptrdiff_t)(m + i < m_dim ? m + i : m) * k_dim + k));
}

/* y[row] (+)= x . w[row], with the bits that dot_group gives one of many streams, for w of lay_out: memory is read from
 * one end to the other, LANES chains of sums hide each other's latency, and one transposition ends them all. */
static void dot_one(int m_dim, int k_dim, const float *w, const float *x, float *y, int add) {
  for (int m = 0; m < m_dim; m += LANES) {
    const int left = m_dim - m;
    vec acc[LANES] = {{0}};
    for (int k = 0; k < k_dim; k += LANES) {
      const vec xs = load(x + k);
      for (int i = 0; i < LANES; i++, w += LANES) acc[i] += load(w) * xs;
    }
    const vec total = sums(acc);
    store_part(y + m, add ? load_part(y + m, left) + total : total, left);
  }
}

/* y [s_dim, m_dim] (+)= x [s_dim, k_dim] w' for w [m_dim, k_dim]; the rows of y are ldy apart. k_dim is a
 * multiple of 16: rows are padded with zeros, so that all of them begin on a cache line. A run of rows of w stays
 * in the cache while all of x passes. */
void dot_product(int s_dim, int m_dim, int k_dim, const float *w, const float *x, float *y, int ldy, int add) {
  for (int from = 0; from < m_dim; from += KEPT) {
    const int to = from + KEPT < m_dim ? from + KEPT : m_dim;
    for (int s = 0; s < s_dim; s += SIDE)
      for (int m = from; m < to; m += GROUP) {
        const int rows = to - m < GROUP ? to - m : GROUP, streams = s_dim - s < SIDE ? s_dim - s : SIDE;
        dot_group(streams, rows, k_dim, w + (ptrdiff_t)m * k_dim, x + (ptrdiff_t)s * k_dim,
                  y + (ptrdiff_t)s * ldy + m, ldy, add, s ? 0 : GROUP * k_dim);
      }
  }
}

/* y[s] += sum over rows of d[s][row] w[row] in the columns of a range, for a few rows and streams. */
INLINE void scale_block(const int rows, const int streams, const float *w, int k_dim, range columns,
                        const float *d, int ldd, float *y) {
  vec scale[ROWS][STREAMS];
  for (int i = 0; i < rows; i++)
    for (int s = 0; s < streams; s++) scale[i][s] = all(d[(ptrdiff_t)s * ldd + i]);
  for (int k = columns.from; k < columns.to; k += LANES) {
    vec ws[ROWS];
    for (int i = 0; i < rows; i++) {
      const float *row = w + (ptrdiff_t)i * k_dim + k;
      ws[i] = load(row);
      PREFETCH(row, k_dim);
    }
    for (int s = 0; s < streams; s++) {
      float *to = y + (ptrdiff_t)s * k_dim + k;
      vec out = load(to);
      for (int i = 0; i < rows; i++) out += scale[i][s] * ws[i];
      store(to, out);
    }
  }
}

/* y [s_dim, k_dim] += d [s_dim, m_dim] w in the columns of a range, for w [m_dim, k_dim]; the rows of d are
 * ldd apart, k_dim is a multiple of 16. */
static void scale_product(int s_dim, int m_dim, int k_dim, range columns, const float *w, const float *d,
                          int ldd, float *y) {
  for (int m = 0, rows; m < m_dim; m += rows) {
    rows = m_dim - m < ROWS ? 1 : ROWS;
    for (int s = 0, streams; s < s_dim; s += streams) {
      streams = s_dim - s < STREAMS ? 1 : STREAMS;
      const float *from = w + (ptrdiff_t)m * k_dim, *scales = d + (ptrdiff_t)s * ldd + m;
      float *to = y + (ptrdiff_t)s * k_dim;
      if (rows * streams == ROWS * STREAMS) scale_block(ROWS, STREAMS, from, k_dim, columns, scales, ldd, to);
      else scale_block(rows, streams, from, k_dim, columns, scales, ldd, to);
    }
  }
}

/* Gates, cell and output of some cells of one stream in one frame; a holds the sums on entry, the gates on
 * return. */
static void step(int n, range cells, float *a, const float *c_before, float *c, float *h, float *m, const float *pi,
                 const float *pf, const float *po, float cell_clip) {
  for (int k = cells.from; k < cells.to; k += LANES) {
    const int left = n - k;
    vec before = load_part(c_before + k, left);
    vec g = tanh_v(load_part(a + k, left));
    vec i = sigmoid_v(load_part(a + n + k, left) + load_part(pi + k, left) * before);
    vec f = sigmoid_v(load_part(a + 2 * n + k, left) + load_part(pf + k, left) * before);
    vec cell = g * i + before * f;
    if (cell_clip > 0) cell = clip(cell, cell_clip);
    vec o = sigmoid_v(load_part(a + 3 * n + k, left) + load_part(po + k, left) * cell);
    vec out = tanh_v(cell);
    store_part(a + k, g, left);
    store_part(a + n + k, i, left);
    store_part(a + 2 * n + k, f, left);
    store_part(a + 3 * n + k, o, left);
    store_part(c + k, cell, left);
    store_part(h + k, out, left);
    store_part(m + k, o * out, left);
  }
}

/* y [rows, m_dim] = x [rows, k_dim] w' + bias for w [m_dim, k_dim], k_dim a multiple of 16. */
void lstm_inputs(int threads, int rows, int m_dim, int k_dim, const float *w, const float *bias, const float *x,
                 float *y) {
#pragma omp parallel num_threads(threads)
  {
    const range mine = share(m_dim);
    const int columns = mine.to - mine.from;
    for (int row = 0; row < rows; row++)
      memcpy(y + (ptrdiff_t)row * m_dim + mine.from, bias + mine.from, (size_t)columns * sizeof(float));
    dot_product(rows, columns, k_dim, w + (ptrdiff_t)mine.from * k_dim, x, y + mine.from, m_dim, 1);
  }
}

/* gates holds Wx x + b on entry and the activations on return. For a lone stream there may be, else null, the weights as
 * lay_out has them: lone_r of each gate, and lone_rm. */
void lstm_forward(int threads, int t_dim, int s_dim, int n, int np, int r_dim, int rp, const float *w_r,
                  const float *w_rm, const float *pi, const float *pf, const float *po, float cell_clip,
                  float *gates, float *c, float *h, float *m, float *r, const float *lone_r, const float *lone_rm) {
  const ptrdiff_t gate_row = 4 * (ptrdiff_t)n, rows = (n + 15) / 16 * 16;
#pragma omp parallel num_threads(threads)
  {
    const range cells = share(n), outputs = share(r_dim);
    const int num_cells = cells.to - cells.from, num_outputs = outputs.to - outputs.from;
    const ptrdiff_t first = (ptrdiff_t)outputs.from * np;
    for (int t = 0; t < t_dim; t++) {
      const ptrdiff_t row = (ptrdiff_t)t * s_dim, next = row + s_dim;
      float *a = gates + row * gate_row, *to = r + next * rp + outputs.from;
      for (int gate = 0; gate < 4; gate++) {
        const ptrdiff_t from = (ptrdiff_t)gate * n + cells.from;
        if (lone_r) dot_one(num_cells, rp, lone_r + (gate * rows + cells.from) * rp, r + row * rp, a + from, 1);
        else dot_product(s_dim, num_cells, rp, w_r + from * rp, r + row * rp, a + from, 4 * n, 1);
      }
      for (int s = 0; s < s_dim; s++) {
        step(n, cells, a + s * gate_row, c + (row + s) * n, c + (next + s) * n, h + (row + s) * n,
             m + (row + s) * np, pi, pf, po, cell_clip);
      }
#pragma omp barrier
      if (lone_rm) dot_one(num_outputs, np, lone_rm + first, m + row * np, to, 0);
      else dot_product(s_dim, num_outputs, np, w_rm + first, m + row * np, to, rp, 0);
#pragma omp barrier
    }
  }
}

/* Derivatives of some cells of one stream in one frame. d_c holds that of the next frame on entry, this one's on return;
 * after and d_after are the next frame's gates and their derivatives, or null at the end of the chunk. */
static void step_back(int n, range cells, const float *a, const float *c_before, const float *h, const float *d_m,
                      const float *after, const float *d_after, const float *pi, const float *pf, const float *po,
                      float diff_clip, float cell_diff_clip, float *d_c, float *d_a) {
  for (int k = cells.from; k < cells.to; k += LANES) {
    const int left = n - k;
    vec g = load_part(a + k, left), i = load_part(a + n + k, left);
    vec f = load_part(a + 2 * n + k, left), o = load_part(a + 3 * n + k, left);
    vec out = load_part(h + k, left), dm = load_part(d_m + k, left);
    vec d_o = dm * out * (o * (1.0f - o));
    vec d_cell = dm * o * (1.0f - out * out);
    if (after) {
      d_cell += load_part(d_c + k, left) * load_part(after + 2 * n + k, left);
      d_cell += load_part(d_after + n + k, left) * load_part(pi + k, left);
      d_cell += load_part(d_after + 2 * n + k, left) * load_part(pf + k, left);
    }
    d_cell += d_o * load_part(po + k, left);
    if (cell_diff_clip > 0) d_cell = clip(d_cell, cell_diff_clip);
    vec d_f = d_cell * load_part(c_before + k, left) * (f * (1.0f - f));
    vec d_i = d_cell * g * (i * (1.0f - i));
    vec d_g = d_cell * i * (1.0f - g * g);
    if (diff_clip > 0) {
      d_g = clip(d_g, diff_clip);
      d_i = clip(d_i, diff_clip);
      d_f = clip(d_f, diff_clip);
      d_o = clip(d_o, diff_clip);
    }
    store_part(d_a + k, d_g, left);
    store_part(d_a + n + k, d_i, left);
    store_part(d_a + 2 * n + k, d_f, left);
    store_part(d_a + 3 * n + k, d_o, left);
    store_part(d_c + k, d_cell, left);
  }
}

/* d_r [T, S, rp] holds the derivative at the output on entry and the whole one at r on return; d_gates
 * [T, S, 4N] is filled; d_m [S, np] and d_c [S, N] are work space. */
void lstm_backward(int threads, int t_dim, int s_dim, int n, int np, int r_dim, int rp, const float *w_r,
                   const float *w_rm, const float *pi, const float *pf, const float *po, float diff_clip,
                   float cell_diff_clip, const float *gates, const float *c, const float *h, float *d_r,
                   float *d_gates, float *d_m, float *d_c) {
  const ptrdiff_t gate_row = 4 * (ptrdiff_t)n;
#pragma omp parallel num_threads(threads)
  {
    const range cells = share(n), outputs = share(rp);
    for (int t = t_dim - 1; t >= 0; t--) {
      const ptrdiff_t row = (ptrdiff_t)t * s_dim, next = row + s_dim;
      const int last = t + 1 == t_dim;
      if (!last)
        scale_product(s_dim, 4 * n, rp, outputs, w_r, d_gates + next * gate_row, 4 * n, d_r + row * rp);
#pragma omp barrier
      for (int s = 0; s < s_dim; s++) zero(d_m + (ptrdiff_t)s * np, cells);
      scale_product(s_dim, r_dim, np, cells, w_rm, d_r + row * rp, rp, d_m);
      for (int s = 0; s < s_dim; s++) {
        const float *after = last ? NULL : gates + (next + s) * gate_row;
        const float *d_after = last ? NULL : d_gates + (next + s) * gate_row;
        step_back(n, cells, gates + (row + s) * gate_row, c + (row + s) * n, h + (row + s) * n,
                  d_m + (ptrdiff_t)s * np, after, d_after, pi, pf, po, diff_clip, cell_diff_clip,
                  d_c + (ptrdiff_t)s * n, d_gates + (row + s) * gate_row);
      }
#pragma omp barrier
    }
  }
}
