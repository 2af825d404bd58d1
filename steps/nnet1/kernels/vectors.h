/* Vectors of floats for the kernels: loads and stores, sums, exp, sigmoid and tanh, and threads' shares. */
#include <omp.h>
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

/* What one thread does of n values: [from, to), beginning at a multiple of 16. */
typedef struct {
  int from, to;
} range;

static range share(int n) {
  const int rank = omp_get_thread_num(), threads = omp_get_num_threads();
  const ptrdiff_t blocks = (n + 15) / 16;
  const int from = (int)(blocks * rank / threads * 16), to = (int)(blocks * (rank + 1) / threads * 16);
  return (range){from, to < n ? to : n};
}

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

INLINE void zero(float *p, range some) {
  memset(p + some.from, 0, (size_t)(some.to - some.from) * sizeof(float));
}

void dot_product(int s_dim, int m_dim, int k_dim, const float *w, const float *x, float *y, int ldy, int add);
