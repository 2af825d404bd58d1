/* The projected LSTM of nnet1 on interleaved streams: all frames of a chunk, forward and back.
 *
 * The recurrent products have as many rows as streams, so they are bound by reading the weights: each is
 * read once a frame for all streams. A value's sum has one order whatever the number of streams, so a
 * stream's bits do not change with its company.
 *
 * Layout: row-major float32. gates [T, S, 4N] in the order g, i, f, o; c [T + 1, S, N], r [T + 1, S, R] begin with
 * the state before the first frame; h, m [T, S, N]. Rows that are summed over (of both weights, of r, m
 * and their derivatives) are padded with zeros to a multiple of 16 columns: np for N, rp for R. lengths[s],
 * where given, is where stream s ends.
 */
#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif defined(__AVX__)
#define LANES 8
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define LANES 4
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#endif
#define STREAMS 4
#define ROWS (LANES / STREAMS)
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int ivec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* Keeps a loaded value in its register, where the compiler would rather load it for each product. */
#if defined(__AVX512F__)
#define IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined(__x86_64__)
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#else
#define IN_REGISTER(v) (void)(v)
#endif

/* Asks for the weights of the next but one block of rows: no processor guesses four streams of pages. */
#define PREFETCH(row, k_dim) __builtin_prefetch((row) + 2 * ROWS * (ptrdiff_t)(k_dim), 0, 1)

INLINE vec load(const float *p) { return *(const loose *)p; }
INLINE void store(float *p, vec v) { *(loose *)p = v; }
INLINE vec all(float v) { return (vec){0} + v; }
INLINE vec choose(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
INLINE vec clip(vec v, float limit) {
  v = choose(v > all(limit), all(limit), v);
  return choose(v < all(-limit), all(-limit), v);
}

/* The first n lanes from memory, zero elsewhere; and back. */
INLINE vec load_part(const float *p, int n) {
  vec v = {0};
  if (n >= LANES) return load(p);
  memcpy(&v, p, (size_t)n * sizeof(float));
  return v;
}
INLINE void store_part(float *p, vec v, int n) {
  if (n >= LANES) store(p, v);
  else memcpy(p, &v, (size_t)n * sizeof(float));
}

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

/* Sums of the lanes of LANES vectors, in order; v is overwritten. Neighbours are added first, then pairs. */
INLINE vec sums(vec *v) {
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++)
      v[i] = SHUFFLE(v[2 * i], v[2 * i + 1], EVEN) + SHUFFLE(v[2 * i], v[2 * i + 1], ODD);
  return v[0];
}

/* exp to about 1 ulp: 2^n exp(r), |r| <= ln 2 / 2, polynomial of Cephes' expf. */
INLINE vec exp_v(vec x) {
  x = choose(x > all(88.0f), all(88.0f), x);
  x = choose(x < all(-87.0f), all(-87.0f), x);
  const vec magic = all(12582912.0f);
  vec n = (x * 1.44269504088896341f + magic) - magic;
  vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return p * (vec)((__builtin_convertvector(n, ivec) + 127) << 23);
}

INLINE vec sigmoid_v(vec x) { return 1.0f / (1.0f + exp_v(-x)); }

/* tanh: Cephes' odd polynomial below 0.625, 1 - 2 / (exp(2|x|) + 1) with the sign of x above. */
INLINE vec tanh_v(vec x) {
  const ivec sign_bit = (ivec){0} + (int)0x80000000u;
  const ivec sign = (ivec)x & sign_bit;
  vec size = (vec)((ivec)x & ~sign_bit);
  vec s = x * x;
  vec p = s * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  vec small = p * s * x + x;
  vec large = 1.0f - 2.0f / (exp_v(size + size) + 1.0f);
  return choose(size < all(0.625f), small, (vec)((ivec)large | sign));
}

/* y[s][row] (+)= x[s] . w[row] for a few rows and streams: rows * streams sums in registers. */
INLINE void dot_block(const int rows, const int streams, const float *w, int k_dim, const float *x, float *y,
                      int ldy, int add) {
  vec acc[STREAMS * ROWS] = {{0}};
  for (int k = 0; k < k_dim; k += LANES) {
    vec xs[STREAMS];
    for (int s = 0; s < streams; s++) {
      xs[s] = load(x + (ptrdiff_t)s * k_dim + k);
      IN_REGISTER(xs[s]);
    }
    for (int i = 0; i < rows; i++) {
      const float *row = w + (ptrdiff_t)i * k_dim + k;
      vec wi = load(row);
      IN_REGISTER(wi);
      PREFETCH(row, k_dim);
      for (int s = 0; s < streams; s++) acc[s * ROWS + i] += wi * xs[s];
    }
  }
  const vec total = sums(acc);
  for (int s = 0; s < streams; s++)
    for (int i = 0; i < rows; i++) {
      float *to = y + (ptrdiff_t)s * ldy + i;
      *to = add ? *to + total[s * ROWS + i] : total[s * ROWS + i];
    }
}

/* y [s_dim, m_dim] (+)= x [s_dim, k_dim] w' for w [m_dim, k_dim]; the rows of y are ldy apart. k_dim is a
 * multiple of 16: rows are padded with zeros, so that all of them begin on a cache line. */
static void dot_product(int s_dim, int m_dim, int k_dim, const float *w, const float *x, float *y, int ldy,
                        int add) {
#define DOT(rows, streams) \
  dot_block(rows, streams, w + (ptrdiff_t)m * k_dim, k_dim, x + (ptrdiff_t)s * k_dim, \
            y + (ptrdiff_t)s * ldy + m, ldy, add)
  int m = 0;
  for (; m + ROWS <= m_dim; m += ROWS) {
    int s = 0;
    for (; s + 4 <= s_dim; s += 4) DOT(ROWS, 4);
    if (s_dim - s == 3) DOT(ROWS, 3);
    else if (s_dim - s == 2) DOT(ROWS, 2);
    else if (s_dim - s == 1) DOT(ROWS, 1);
  }
  for (; m < m_dim; m++)
    for (int s = 0; s < s_dim; s++) DOT(1, 1);
#undef DOT
}

/* y[s] += sum over rows of d[s][row] w[row], for a few rows and streams. */
INLINE void scale_block(const int rows, const int streams, const float *w, int k_dim, const float *d, int ldd,
                        float *y) {
  vec scale[ROWS][STREAMS];
  for (int i = 0; i < rows; i++)
    for (int s = 0; s < streams; s++) scale[i][s] = all(d[(ptrdiff_t)s * ldd + i]);
  for (int k = 0; k < k_dim; k += LANES) {
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

/* y [s_dim, k_dim] += d [s_dim, m_dim] w for w [m_dim, k_dim]; the rows of d are ldd apart, k_dim is a
 * multiple of 16. */
static void scale_product(int s_dim, int m_dim, int k_dim, const float *w, const float *d, int ldd, float *y) {
#define SCALE(rows, streams) \
  scale_block(rows, streams, w + (ptrdiff_t)m * k_dim, k_dim, d + (ptrdiff_t)s * ldd + m, ldd, \
              y + (ptrdiff_t)s * k_dim)
  int m = 0;
  for (; m + ROWS <= m_dim; m += ROWS) {
    int s = 0;
    for (; s + 4 <= s_dim; s += 4) SCALE(ROWS, 4);
    if (s_dim - s == 3) SCALE(ROWS, 3);
    else if (s_dim - s == 2) SCALE(ROWS, 2);
    else if (s_dim - s == 1) SCALE(ROWS, 1);
  }
  for (; m < m_dim; m++)
    for (int s = 0; s < s_dim; s++) SCALE(1, 1);
#undef SCALE
}

/* Gates, cell and output of one stream in one frame; a holds the sums on entry, the gates on return. */
static void step(int n, float *a, const float *c_before, float *c, float *h, float *m, const float *pi,
                 const float *pf, const float *po, float cell_clip) {
  for (int k = 0; k < n; k += LANES) {
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

static void zero(float *p, int n) { memset(p, 0, (size_t)n * sizeof(float)); }

/* gates holds Wx x + b on entry and the activations on return. */
void lstm_forward(int t_dim, int s_dim, int n, int np, int r_dim, int rp, const float *w_r, const float *w_rm,
                  const float *pi, const float *pf, const float *po, float cell_clip, float *gates, float *c,
                  float *h, float *m, float *r, const int *lengths) {
  const ptrdiff_t gate_row = 4 * (ptrdiff_t)n;
  for (int t = 0; t < t_dim; t++) {
    const ptrdiff_t row = (ptrdiff_t)t * s_dim, next = row + s_dim;
    float *a = gates + row * gate_row;
    dot_product(s_dim, 4 * n, rp, w_r, r + row * rp, a, 4 * n, 1);
    for (int s = 0; s < s_dim; s++)
      step(n, a + s * gate_row, c + (row + s) * n, c + (next + s) * n, h + (row + s) * n, m + (row + s) * np, pi,
           pf, po, cell_clip);
    dot_product(s_dim, r_dim, np, w_rm, m + row * np, r + next * rp, rp, 0);
    for (int s = 0; lengths && s < s_dim; s++)
      if (t >= lengths[s]) {
        zero(a + s * gate_row, 4 * n);
        zero(c + (next + s) * n, n);
        zero(h + (row + s) * n, n);
        zero(m + (row + s) * np, n);
        zero(r + (next + s) * rp, r_dim);
      }
  }
}

/* Derivatives of one stream in one frame. d_c holds that of the next frame on entry, this one's on return;
 * after and d_after are the next frame's gates and their derivatives, or null at the end of the chunk. */
static void step_back(int n, const float *a, const float *c_before, const float *h, const float *d_m,
                      const float *after, const float *d_after, const float *pi, const float *pf, const float *po,
                      float diff_clip, float cell_diff_clip, float *d_c, float *d_a) {
  for (int k = 0; k < n; k += LANES) {
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
void lstm_backward(int t_dim, int s_dim, int n, int np, int r_dim, int rp, const float *w_r, const float *w_rm,
                   const float *pi, const float *pf, const float *po, float diff_clip, float cell_diff_clip,
                   const float *gates, const float *c, const float *h, float *d_r, float *d_gates, float *d_m,
                   float *d_c, const int *lengths) {
  const ptrdiff_t gate_row = 4 * (ptrdiff_t)n;
  for (int t = t_dim - 1; t >= 0; t--) {
    const ptrdiff_t row = (ptrdiff_t)t * s_dim, next = row + s_dim;
    const int last = t + 1 == t_dim;
    if (!last) scale_product(s_dim, 4 * n, rp, w_r, d_gates + next * gate_row, 4 * n, d_r + row * rp);
    zero(d_m, s_dim * np);
    scale_product(s_dim, r_dim, np, w_rm, d_r + row * rp, rp, d_m);
    for (int s = 0; s < s_dim; s++) {
      const float *after = last ? NULL : gates + (next + s) * gate_row;
      const float *d_after = last ? NULL : d_gates + (next + s) * gate_row;
      step_back(n, gates + (row + s) * gate_row, c + (row + s) * n, h + (row + s) * n, d_m + (ptrdiff_t)s * np,
                after, d_after, pi, pf, po, diff_clip, cell_diff_clip, d_c + (ptrdiff_t)s * n,
                d_gates + (row + s) * gate_row);
      if (lengths && t >= lengths[s]) {
        zero(d_gates + (row + s) * gate_row, 4 * n);
        zero(d_c + (ptrdiff_t)s * n, n);
        zero(d_r + (row + s) * rp, r_dim);
      }
    }
  }
}

/* corr = momentum corr + gradient, for the bias [4N] and the peepholes [N]; rows = T S. */
void lstm_vectors(int rows, int s_dim, int n, const float *d_gates, const float *c, float momentum, float *bias,
                  float *pi, float *pf, float *po) {
  for (int k = 0; k < n; k += LANES) {
    const int left = n - k;
    vec b[4] = {{0}}, p[3] = {{0}};
    for (ptrdiff_t row = 0; row < rows; row++) {
      const float *d = d_gates + row * 4 * n + k;
      const vec before = load_part(c + row * n + k, left), after = load_part(c + (row + s_dim) * n + k, left);
      for (int gate = 0; gate < 4; gate++) {
        const vec d_gate = load_part(d + gate * n, left);
        b[gate] += d_gate;
        if (gate) p[gate - 1] += d_gate * (gate == 3 ? after : before);
      }
    }
    for (int gate = 0; gate < 4; gate++) {
      float *to = bias + gate * n + k;
      store_part(to, load_part(to, left) * momentum + b[gate], left);
    }
    store_part(pi + k, load_part(pi + k, left) * momentum + p[0], left);
    store_part(pf + k, load_part(pf + k, left) * momentum + p[1], left);
    store_part(po + k, load_part(po + k, left) * momentum + p[2], left);
  }
}

/* y [rows, m_dim] = x [rows, k_dim] w' + b, each value in one order of sums whatever the rows; k_dim is a
 * multiple of 16, x and w are padded with zeros. */
void affine_forward(int rows, int m_dim, int k_dim, const float *w, const float *b, const float *x, float *y) {
  for (int row = 0; row < rows; row += 128) {
    const int block = rows - row < 128 ? rows - row : 128;
    float *to = y + (ptrdiff_t)row * m_dim;
    for (int i = 0; i < block; i++) memcpy(to + (ptrdiff_t)i * m_dim, b, (size_t)m_dim * sizeof(float));
    dot_product(block, m_dim, k_dim, w, x + (ptrdiff_t)row * k_dim, to, m_dim, 1);
  }
}
