// Orders 1 and 2 of the scattering transform in single precision, one first-order path and all that follow from it
// at a time, so that what lies between two transforms stays in the cache.
//
// A transform of n = n1 n2 samples takes two steps, columns and rows, each of which does LANES short transforms side
// by side, a lane each. A filter and the fold to its rate are applied while the columns are read, the modulus while
// the rows are written. Short transforms are Stockham's with radices 2 to 5 and the sign of the inverse; a forward one
// swaps real and imaginary parts.

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 16
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#else
#define LANES 8
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t places __attribute__((vector_size(4 * LANES)));
typedef struct {
  vec re, im;
} pair;

#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (places){__VA_ARGS__})
#endif
#define INLINE static inline __attribute__((always_inline))

// How signals of n samples are transformed. ``unroll`` has e^(2 pi i c k / n) for the columns c of a group and
// k = 0, step, 2 step ... n1, then for k = 0 to step - 1; ``real`` e^(-2 pi i k / (2 n)) for k = 0 to n / 2.
typedef struct {
  int64_t n, n1, n2, step;
  const float *twiddles1, *twiddles2, *unroll, *real;
} plan;

// A filter, its values from bin ``start`` on followed by LANES zeros, and where its path goes.
typedef struct {
  const plan *way, *half;  // of its samples, and of half as many
  const float *values;
  int64_t start, size, resolution, column;
} path;

// The low-pass of a resolution [shape=(hops, samples a hop)]; no taps where the rate is that of frames.
typedef struct {
  const float *taps;
  int64_t hops;
} level;

typedef struct {
  const level *levels;
  const float *re, *im;  // the spectrum at bin 0
  float *out;            // [shape=(frames, dims)]
  int64_t dims, frames, hop, num_hops, margin;
  int64_t start, length;  // first sample in the track, and samples of the track
} block;

// Memory for one thread: lanes for two short transforms; a transform; two planes for half a spectrum and two for a
// whole one; two signals.
typedef struct {
  pair *lanes[2], *between;
  float *half[2], *whole[2], *envelope[2];
} work;

int64_t scatter_lanes(void) { return LANES; }

INLINE pair times(pair x, float re, float im) { return (pair){x.re * re - x.im * im, x.re * im + x.im * re}; }
INLINE pair plus(pair x, pair y) { return (pair){x.re + y.re, x.im + y.im}; }
INLINE pair minus(pair x, pair y) { return (pair){x.re - y.re, x.im - y.im}; }
INLINE pair plus_i(pair x, pair y) { return (pair){x.re - y.im, x.im + y.re}; }
INLINE pair minus_i(pair x, pair y) { return (pair){x.re + y.im, x.im - y.re}; }
INLINE pair scaled(pair x, float by) { return (pair){x.re * by, x.im * by}; }

INLINE void butterfly(int radix, const pair *x, int64_t apart, pair *y) {
  const pair a = x[0], b = x[apart];
  if (radix == 2) {
    y[0] = plus(a, b);
    y[1] = minus(a, b);
  } else if (radix == 3) {
    const pair c = x[2 * apart], sum = plus(b, c), turn = scaled(minus(b, c), 0.86602540378443865f);
    const pair rest = minus(a, scaled(sum, 0.5f));
    y[0] = plus(a, sum);
    y[1] = plus_i(rest, turn);
    y[2] = minus_i(rest, turn);
  } else if (radix == 4) {
    const pair c = x[2 * apart], d = x[3 * apart];
    const pair even = plus(a, c), odd = plus(b, d), even2 = minus(a, c), odd2 = minus(b, d);
    y[0] = plus(even, odd);
    y[1] = plus_i(even2, odd2);
    y[2] = minus(even, odd);
    y[3] = minus_i(even2, odd2);
  } else {
    const float c1 = 0.30901699437494742f, c2 = -0.80901699437494742f;
    const float s1 = 0.95105651629515357f, s2 = 0.58778525229247313f;
    const pair c = x[2 * apart], d = x[3 * apart], e = x[4 * apart];
    const pair sum1 = plus(b, e), sum2 = plus(c, d), turn1 = minus(b, e), turn2 = minus(c, d);
    const pair rest1 = plus(a, plus(scaled(sum1, c1), scaled(sum2, c2)));
    const pair rest2 = plus(a, plus(scaled(sum1, c2), scaled(sum2, c1)));
    const pair own1 = plus(scaled(turn1, s1), scaled(turn2, s2));
    const pair own2 = minus(scaled(turn1, s2), scaled(turn2, s1));
    y[0] = plus(a, plus(sum1, sum2));
    y[1] = plus_i(rest1, own1);
    y[2] = plus_i(rest2, own2);
    y[3] = minus_i(rest2, own2);
    y[4] = minus_i(rest1, own1);
  }
}

INLINE const float *pass(int radix, int64_t n, int64_t s, const pair *x, pair *y, const float *twiddles) {
  const int64_t m = n / radix;
  pair made[5];
  if (m == 1) {
    for (int64_t q = 0; q < s; q++) {
      butterfly(radix, x + q, s, made);
      for (int k = 0; k < radix; k++) y[q + s * k] = made[k];
    }
    return twiddles;
  }
  for (int64_t p = 0; p < m; p++, twiddles += 2 * (radix - 1))
    for (int64_t q = 0; q < s; q++) {
      butterfly(radix, x + q + s * p, s * m, made);
      pair *to = y + q + s * radix * p;
      to[0] = made[0];
      for (int k = 1; k < radix; k++) to[s * k] = times(made[k], twiddles[2 * k - 2], twiddles[2 * k - 1]);
    }
  return twiddles;
}

// Transform lanes of n samples; both x and y are written, and the one with the result is returned.
static pair *lane_transforms(int64_t n, pair *x, pair *y, const float *twiddles) {
  for (int64_t s = 1; n > 1;) {
    const int radix = n % 5 == 0 ? 5 : n % 3 == 0 ? 3 : __builtin_ctzll((uint64_t)n) % 2 ? 2 : 4;
    if (radix == 4)
      twiddles = pass(4, n, s, x, y, twiddles);
    else if (radix == 2)
      twiddles = pass(2, n, s, x, y, twiddles);
    else if (radix == 3)
      twiddles = pass(3, n, s, x, y, twiddles);
    else
      twiddles = pass(5, n, s, x, y, twiddles);
    n /= radix;
    s *= radix;
    pair *const other = x;
    x = y;
    y = other;
  }
  return x;
}

INLINE void transpose(vec *rows) {
  vec other[LANES];
  for (int round = 1; round < LANES; round *= 2) {
    for (int i = 0; i < LANES / 2; i++) {
      other[2 * i] = SHUFFLE(rows[i], rows[i + LANES / 2], LOW);
      other[2 * i + 1] = SHUFFLE(rows[i], rows[i + LANES / 2], HIGH);
    }
    memcpy(rows, other, sizeof other);
  }
}

// What is transformed: a spectrum times a filter, or, without a filter, a real signal, two samples a number.
typedef struct {
  const float *re, *im, *values;
  int64_t size;
} source;

INLINE pair load(const source *from, int64_t place, int64_t n) {
  if (!from->values) {
    const vec a = *(const loose *)(from->re + 2 * place), b = *(const loose *)(from->re + 2 * place + LANES);
    return (pair){SHUFFLE(a, b, ODD), SHUFFLE(a, b, EVEN)};
  }
  const vec value = *(const loose *)(from->values + place);
  pair sum = {*(const loose *)(from->re + place) * value, *(const loose *)(from->im + place) * value};
  for (place += n; place < from->size; place += n) {
    const vec next = *(const loose *)(from->values + place);
    sum.re += *(const loose *)(from->re + place) * next;
    sum.im += *(const loose *)(from->im + place) * next;
  }
  return sum;
}

// First step; row r of group g of LANES rows is at between[g n2 + r].
INLINE void columns(const plan *way, const source *from, work *own) {
  const int64_t n1 = way->n1, n2 = way->n2, step = way->step;
  const pair *outer = (const pair *)way->unroll;
  for (int64_t column = 0; column < n2; column += LANES) {
    for (int64_t j = 0; j < n1; j++) own->lanes[0][j] = load(from, j * n2 + column, way->n);
    const pair *got = lane_transforms(n1, own->lanes[0], own->lanes[1], way->twiddles1);
    const pair *inner = outer + n1 / step;
    const int64_t count = n2 - column < LANES ? n2 - column : LANES;
    for (int64_t k = 0; k < n1; k += LANES) {
      vec re[LANES], im[LANES];
      for (int i = 0; i < LANES; i++) {
        const pair a = outer[(k + i) / step], b = inner[(k + i) % step], x = got[k + i];
        const vec c = a.re * b.re - a.im * b.im, s = a.re * b.im + a.im * b.re;
        re[i] = x.re * c - x.im * s;
        im[i] = x.re * s + x.im * c;
      }
      transpose(re);
      transpose(im);
      pair *to = own->between + k / LANES * n2 + column;
      for (int64_t i = 0; i < count; i++) to[i] = (pair){re[i], im[i]};
    }
    outer = inner + step;
  }
}

// The modulus of the inverse transform of a filtered spectrum, not divided by its length.
static void filtered(const plan *way, const source *from, work *own, float *envelope) {
  columns(way, from, own);
  for (int64_t k = 0; k < way->n1; k += LANES) {
    const pair *got = lane_transforms(way->n2, own->between + k / LANES * way->n2, own->lanes[0], way->twiddles2);
    for (int64_t j = 0; j < way->n2; j++) {
      float square[LANES];
      *(loose *)square = got[j].re * got[j].re + got[j].im * got[j].im;
      float *to = envelope + j * way->n1 + k;
      for (int i = 0; i < LANES; i++) to[i] = sqrtf(square[i]);
    }
  }
}

// The spectrum of a real signal of 2 n samples divided by its length, n the length of the plan, from bin ``-negative``
// to n - 1; bin 0 is at re[0] and im[0].
static void spectrum(const plan *way, const float *signal, int64_t negative, work *own, float *restrict re,
                     float *restrict im) {
  const source from = {signal, 0, 0, 0};
  const int64_t n = way->n;
  float *restrict zre = own->half[0], *restrict zim = own->half[1];
  columns(way, &from, own);
  for (int64_t k = 0; k < way->n1; k += LANES) {
    const pair *got = lane_transforms(way->n2, own->between + k / LANES * way->n2, own->lanes[0], way->twiddles2);
    for (int64_t j = 0; j < way->n2; j++) {
      *(loose *)(zre + j * way->n1 + k) = got[j].im;
      *(loose *)(zim + j * way->n1 + k) = got[j].re;
    }
  }
  const float by = 0.25f / (float)n, *restrict c = way->real, *restrict s = way->real + n / 2 + 1;
  const float last = 2 * by * (zre[0] - zim[0]);
  re[0] = 2 * by * (zre[0] + zim[0]);
  im[0] = 0;
  for (int64_t k = 1; k <= n / 2; k++) {
    const float ere = by * (zre[k] + zre[n - k]), eim = by * (zim[k] - zim[n - k]);
    const float ore = by * (zim[k] + zim[n - k]), oim = by * (zre[n - k] - zre[k]);
    const float tre = c[k] * ore - s[k] * oim, tim = c[k] * oim + s[k] * ore;
    re[k] = ere + tre;
    im[k] = eim + tim;
    re[n - k] = ere - tre;
    im[n - k] = tim - eim;
  }
  const int64_t rest = negative < n ? negative : n - 1;
  for (int64_t k = 1; k <= rest; k++) {
    re[-k] = re[k];
    im[-k] = -im[k];
  }
  if (negative == n) {
    re[-n] = last;
    im[-n] = 0;
  }
}

// The spectrum of a block of 2 n samples from bin -n to 2 n - 1.
void scatter_spectrum(const plan *way, const float *signal, float *re, float *im, work *own) {
  const int64_t n = way->n;
  spectrum(way, signal, n, own, re, im);
  memcpy(re + n, re - n, (size_t)n * sizeof *re);
  memcpy(im + n, im - n, (size_t)n * sizeof *im);
}

// Write the mirror images beyond the ends of the track into samples ``low`` to ``high - 1``.
void scatter_mirror(const block *of, int64_t resolution, int64_t low, int64_t high, float *x) {
  const int64_t n = (of->num_hops * of->hop) >> resolution, start = of->start >> resolution;
  const int64_t length = 1 + ((of->length - 1) >> resolution);
  for (int64_t at = low; at < high;) {
    int64_t period = (at + start) / length;
    if (period * length > at + start) period--;  // rounds downwards
    const int64_t end = (period + 1) * length - start < high ? (period + 1) * length - start : high;
    const int64_t same = period * length, back = same + length - 1 - 2 * start;
    if (period % 2) {
      const int64_t last = end < back + 1 ? end : back + 1;
      for (int64_t i = at > back - n + 1 ? at : back - n + 1; i < last; i++) x[i] = x[back - i];
    } else if (period) {
      const int64_t last = end < n + same ? end : n + same;
      for (int64_t i = at > same ? at : same; i < last; i++) x[i] = x[i - same];
    }
    at = end;
  }
}

// Averages of a signal about the hops that are frames.
void scatter_average(const block *of, const level *by, int64_t resolution, int64_t column, const float *x) {
  const int64_t size = of->hop >> resolution, hops = by->hops, first = of->margin - hops / 2;
  float *out = of->out + column;
  if (!by->taps) {
    for (int64_t frame = 0; frame < of->frames; frame++) out[frame * of->dims] = x[of->margin + frame];
    return;
  }
  for (int64_t frame = 0; frame < of->frames; frame++) out[frame * of->dims] = 0;
  for (int64_t hop = first; hop < first + of->frames + hops - 1; hop++) {
    const float *own = x + hop * size;
    // Hop ``hop`` has tap q in frame hop - first - q.
    const int64_t low = hop - first - of->frames + 1 > 0 ? hop - first - of->frames + 1 : 0;
    const int64_t high = hop - first < hops - 1 ? hop - first : hops - 1;
    for (int64_t q = low; q <= high; q += 4) {
      const int64_t count = high + 1 - q < 4 ? high + 1 - q : 4;
      const float *taps[4];
      float sums[4];
      for (int t = 0; t < 4; t++) taps[t] = by->taps + (t < count ? q + t : q) * size;
      vec total[4] = {{0}, {0}, {0}, {0}};
      int64_t i = 0;
      for (; i + LANES <= size; i += LANES) {
        const vec value = *(const loose *)(own + i);
        for (int t = 0; t < 4; t++) total[t] += value * *(const loose *)(taps[t] + i);
      }
      for (int t = 0; t < 4; t++) {
        sums[t] = 0;
        for (int l = 0; l < LANES; l++) sums[t] += total[t][l];
      }
      for (; i < size; i++)
        for (int t = 0; t < 4; t++) sums[t] += own[i] * taps[t][i];
      for (int64_t t = 0; t < count; t++) out[(hop - first - q - t) * of->dims] += sums[t];
    }
  }
}

// A first-order path and the second-order paths that follow from it; ``negative`` bins below 0 are wanted for these.
void scatter_paths(const block *of, const path *first, int64_t num_children, const path *children, int64_t negative,
                   work *own) {
  const int64_t samples = of->num_hops * of->hop;
  const source from = {of->re + first->start, of->im + first->start, first->values, first->size};
  filtered(first->way, &from, own, own->envelope[0]);
  scatter_mirror(of, first->resolution, 0, samples >> first->resolution, own->envelope[0]);
  scatter_average(of, of->levels + first->resolution, first->resolution, first->column, own->envelope[0]);
  if (!num_children) return;
  float *re = own->whole[0] + negative, *im = own->whole[1] + negative;
  spectrum(first->half, own->envelope[0], negative, own, re, im);
  for (const path *child = children; child < children + num_children; child++) {
    const int64_t rate = child->resolution, reach = of->levels[rate].hops / 2, hop = of->hop >> rate;
    const source parent = {re + child->start, im + child->start, child->values, child->size};
    filtered(child->way, &parent, own, own->envelope[1]);
    if (of->levels[rate].taps) {
      const int64_t low = of->margin > reach ? of->margin - reach : 0, end = of->num_hops - of->margin + reach;
      scatter_mirror(of, rate, low * hop, (end < of->num_hops ? end : of->num_hops) * hop, own->envelope[1]);
    }
    scatter_average(of, of->levels + rate, rate, child->column, own->envelope[1]);
  }
}
