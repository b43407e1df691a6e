/* What generated programs call: functions of one number that a compiler can vectorise (no branches, no tables), and
   functions of rows. Accuracy: within 2 ULP in double and 4 in float where nothing else is said; NaN, infinities and
   signed zeros as IEEE 754 has them. REAL stands for float, then for double, in the part below the line. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float float_of(uint32_t bits) { float x; memcpy(&x, &bits, 4); return x; }
INLINE uint32_t bits_of_float(float x) { uint32_t bits; memcpy(&bits, &x, 4); return bits; }
INLINE double double_of(uint64_t bits) { double x; memcpy(&x, &bits, 8); return x; }
INLINE uint64_t bits_of_double(double x) { uint64_t bits; memcpy(&bits, &x, 8); return bits; }

/* exp: x = k ln 2 + r; adding 1.5 * 2^23 (2^52) rounds to a whole number and leaves it in the lowest bits. The power of
   two is applied in halves, so that results below the normal range and the overflow come out right. */
INLINE float exp_float(float x) {
    float c = x > 89.0f ? 89.0f : x;
    c = c < -104.0f ? -104.0f : c;
    float shifted = c * 1.44269504f + 12582912.0f;
    int32_t k = (int32_t)(bits_of_float(shifted) - 0x4B400000u);
    float whole = shifted - 12582912.0f;
    float r = c - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float y = (p * (r * r) + r) + 1.0f;
    int32_t half = k >> 1;
    return y * float_of((uint32_t)(half + 127) << 23) * float_of((uint32_t)(k - half + 127) << 23);
}
INLINE double exp_double(double x) {
    double c = x > 710.0 ? 710.0 : x;
    c = c < -746.0 ? -746.0 : c;
    double shifted = c * 1.4426950408889634 + 6755399441055744.0;
    int64_t k = (int64_t)(bits_of_double(shifted) - 0x4338000000000000ull);
    double whole = shifted - 6755399441055744.0;
    double r = c - whole * 6.93147180369123816490e-01;
    double low = whole * 1.90821492927058770002e-10, exact = r;
    r = r - low;
    low = (exact - r) - low;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    double head = 1.0 + r;
    double y = head + ((r - (head - 1.0)) + (p * (r * r) + low));
    /* k >> 1 of a signed number, without the shift that few processors have in vectors: k + 2048 is positive. */
    uint64_t half = ((uint64_t)(k + 2048) >> 1) - 1024;
    return y * double_of((half + 1023) << 52) * double_of(((uint64_t)k - half + 1023) << 52);
}

/* expm1 = 2^k (e^r - 1) + (2^k - 1), in halves of it so that 2^k stays in range. */
INLINE float expm1_float(float x) {
    float c = x > 89.0f ? 89.0f : x;
    c = c < -25.0f ? -25.0f : c;
    float shifted = c * 1.44269504f + 12582912.0f;
    int32_t k = (int32_t)(bits_of_float(shifted) - 0x4B400000u);
    float whole = shifted - 12582912.0f;
    float r = c - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r;
    float scale = float_of((uint32_t)(k + 126) << 23);
    float y = (scale * p + (scale - 0.5f)) * 2.0f;
    return x == 0.0f ? x : y;
}
INLINE double expm1_double(double x) {
    double c = x > 710.0 ? 710.0 : x;
    c = c < -50.0 ? -50.0 : c;
    double shifted = c * 1.4426950408889634 + 6755399441055744.0;
    int64_t k = (int64_t)(bits_of_double(shifted) - 0x4338000000000000ull);
    double whole = shifted - 6755399441055744.0;
    double r = c - whole * 6.93147180369123816490e-01;
    double low = whole * 1.90821492927058770002e-10;
    double exact = r;
    r = r - low;
    low = (exact - r) - low;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = (p * (r * r) + low * (1.0 + r)) + r;
    double scale = double_of((uint64_t)(k + 1022) << 52);
    double y = (scale * p + (scale - 0.5)) * 2.0;
    return x == 0.0 ? x : y;
}

/* log and log1p: x = 2^k m with m in [sqrt 1/2, sqrt 2); the polynomials are those of fdlibm (Sun Microsystems, 1993). */
INLINE float logarithm_float(float u, float small, int is_small, float lost) {
    int tiny = u < 1.17549435e-38f;
    uint32_t bits = bits_of_float(tiny ? u * 33554432.0f : u) + (0x3f800000u - 0x3f3504f3u);
    float k = (float)((int32_t)(bits >> 23) - 0x7f - (tiny ? 25 : 0));
    float f = float_of((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    f = is_small ? small : f;
    k = is_small ? 0.0f : k;
    float s = f / (2.0f + f), z = s * s, w = z * z;
    float odd = w * (0.40000972152f + w * 0.24279078841f);
    float even = z * (0.66666662693f + w * 0.28498786688f);
    float half = 0.5f * f * f;
    return ((s * (half + (odd + even)) + (k * 9.0580006145e-06f + lost)) - half) + f + k * 6.9313812256e-01f;
}
INLINE double logarithm_double(double u, double small, int is_small, double lost) {
    int tiny = u < 2.2250738585072014e-308;
    uint64_t bits = bits_of_double(tiny ? u * 18014398509481984.0 : u) + (0x3ff0000000000000ull - 0x3fe6a09e667f3bcdull);
    /* The exponent as a number, by way of the bits of 2^52 + exponent. */
    double k = double_of((bits >> 52) | 0x4330000000000000ull) - (4503599627370496.0 + 1023.0) - (tiny ? 54.0 : 0.0);
    double f = double_of((bits & 0x000fffffffffffffull) + 0x3fe6a09e667f3bcdull) - 1.0;
    f = is_small ? small : f;
    k = is_small ? 0.0 : k;
    double s = f / (2.0 + f), z = s * s, w = z * z;
    double odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double even = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 +
                  w * 1.479819860511658591e-01)));
    double half = 0.5 * f * f;
    return ((s * (half + (odd + even)) + (k * 1.90821492927058770002e-10 + lost)) - half) + f +
           k * 6.93147180369123816490e-01;
}
INLINE float log_float(float x) {
    float y = logarithm_float(x, 0.0f, 0, 0.0f);
    y = x < (float)INFINITY ? y : x;
    y = x < 0.0f ? (float)NAN : y;
    return x == 0.0f ? -(float)INFINITY : y;
}
INLINE double log_double(double x) {
    double y = logarithm_double(x, 0.0, 0, 0.0);
    y = x < INFINITY ? y : x;
    y = x < 0.0 ? NAN : y;
    return x == 0.0 ? -INFINITY : y;
}
INLINE float log1p_float(float x) {
    float u = 1.0f + x;
    int is_small = x > -0.29289323f & x < 0.41421357f;
    float lost = (u >= 2.0f ? 1.0f - (u - x) : x - (u - 1.0f)) / u;
    float y = logarithm_float(u, x, is_small, is_small ? 0.0f : lost);
    y = x < (float)INFINITY ? y : x;
    y = x < -1.0f ? (float)NAN : y;
    y = x == -1.0f ? -(float)INFINITY : y;
    return x == 0.0f ? x : y;
}
INLINE double log1p_double(double x) {
    double u = 1.0 + x;
    int is_small = x > -0.29289321881345254 & x < 0.41421356237309503;
    double lost = (u >= 2.0 ? 1.0 - (u - x) : x - (u - 1.0)) / u;
    double y = logarithm_double(u, x, is_small, is_small ? 0.0 : lost);
    y = x < INFINITY ? y : x;
    y = x < -1.0 ? NAN : y;
    y = x == -1.0 ? -INFINITY : y;
    return x == 0.0 ? x : y;
}
INLINE float tanh_float(float x) {
    float t = expm1_float(-2.0f * fabsf(x));
    return copysignf(t / (2.0f + t), x);
}
INLINE double tanh_double(double x) {
    double t = expm1_double(-2.0 * fabs(x));
    return copysign(t / (2.0 + t), x);
}

#define BY_TYPE(name, x) _Generic((x), float: name##_float, default: name##_double)
#define exp(x) BY_TYPE(exp, x)(x)
#define expm1(x) BY_TYPE(expm1, x)(x)
#define log(x) BY_TYPE(log, x)(x)
#define log1p(x) BY_TYPE(log1p, x)(x)
#define tanh(x) BY_TYPE(tanh, x)(x)
#define sqrt(x) _Generic((x), float: sqrtf, default: sqrt)(x)
#define sin(x) _Generic((x), float: sinf, default: sin)(x)
#define cos(x) _Generic((x), float: cosf, default: cos)(x)
#define tan(x) _Generic((x), float: tanf, default: tan)(x)
#define pow(x, y) _Generic((x), float: powf, default: pow)(x, y)
#define fabs(x) _Generic((x), float: fabsf, default: fabs)(x)
#define sign(x) (((x) > 0) - ((x) < 0) + ((x) != (x) ? (x) : 0))
INLINE int64_t magnitude_whole(int64_t x) { return x < 0 ? -x : x; }
#define magnitude(x) _Generic((x), float: fabsf, double: fabs, default: magnitude_whole)(x)

#undef isnan
#undef isinf
#undef isfinite
#define isnan(x) ((x) != (x))
#define isfinite(x) ((x) - (x) == 0)
#define isinf(x) ((x) == (x) && !isfinite(x))
/* NaN wins, and of equals the second, as in numpy.maximum. */
#define larger(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define smaller(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))

/* A sum in double with what was rounded away beside it (Neumaier, 1974); an infinity leaves no rest. */
typedef struct { double sum, rest; } Total;
INLINE void add_to(Total* t, double x) {
    double sum = t->sum + x;
    t->rest += fabs(t->sum) >= fabs(x) ? (t->sum - sum) + x : (x - sum) + t->sum;
    t->sum = sum;
}
INLINE double total_of(Total t) { double y = t.sum + t.rest; return isfinite(y) ? y : t.sum; }

/* phi(x) and the smaller tail Phi(-|x|), as kernels.normal has them, from the same polynomial. */
static const double mills[] = {MILLS};
INLINE void normal(double x, double* density, double* tail) {
    x = fabs(x);
    x = x > 40.0 ? 40.0 : x;
    double head = (double)(float)x;
    double rest = (x - head) * (x + head) * -0.5;
    double d = exp_double(head * head * -0.5) * (0.3989422804014327 * (1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0)))));
    double shifted = x + 5.0;
    double u = (shifted - 10.0) / shifted;
    double ratio = mills[23];
    for (int i = 22; i >= 0; i--) ratio = ratio * u + mills[i];
    ratio /= shifted;
    ratio += (x - (shifted - 5.0)) * (x * ratio - 1.0);
    *density = d;
    *tail = d * ratio;
}

/*-- once per type --*/
INLINE REAL sigmoid_REAL(REAL x) {
    REAL e = exp(-fabs(x));
    return (x >= 0 ? (REAL)1 : e) / (1 + e);
}
INLINE REAL sigmoid_slope_REAL(REAL x) {
    REAL e = exp(-fabs(x));
    return e / ((1 + e) * (1 + e));
}
INLINE REAL tanh_slope_REAL(REAL x) {
    REAL e = exp(-fabs(x));
    e = e * e;
    return 4 * e / ((1 + e) * (1 + e));
}
INLINE REAL softplus_REAL(REAL x) { return larger(x, (REAL)0) + log1p(exp(-fabs(x))); }
INLINE REAL silu_slope_REAL(REAL x) {
    REAL e = exp(-fabs(x)), one = 1 + e;
    return ((x >= 0 ? (REAL)1 : e) + x * (e / one)) / one;
}
INLINE REAL leaky_gate_REAL(REAL z, REAL x, double slope) {
    REAL y = x > 0 ? z : (REAL)slope * z;
    if (slope > 1) y = x == 0 ? z : y;
    if (slope < 0) y = x == 0 ? 0 * z : y;
    return y;
}
INLINE REAL gelu_REAL(REAL x) {
    double density, tail;
    normal(x, &density, &tail);
    return x * (x < 0 ? tail : 1.0 - tail);
}
INLINE REAL gelu_slope_REAL(REAL x) {
    double density, tail, near = x > 40 ? 40.0 : x < -40 ? -40.0 : x;
    normal(x, &density, &tail);
    return (x < 0 ? tail : 1.0 - tail) + near * density;
}
INLINE REAL gelu_bend_REAL(REAL x) {
    double density, tail, near = x > 40 ? 40.0 : x < -40 ? -40.0 : x;
    normal(x, &density, &tail);
    return density * (2.0 - near * near);
}
INLINE REAL normal_density_REAL(REAL x) {
    double density, tail;
    normal(x, &density, &tail);
    return density;
}
INLINE REAL bce_with_logits_REAL(REAL x, REAL t) {
    REAL size = fabs(x);
    return size * (x >= 0 ? 1 - t : t) + log1p(exp(-size));
}
INLINE REAL bce_gradient_REAL(REAL x, REAL t) {
    REAL e = exp(-fabs(x));
    return ((1 - t) * (x >= 0 ? (REAL)1 : e) - t * (x >= 0 ? e : (REAL)1)) / (1 + e);
}
/* base^(exponent - n) without rounding the difference where that would show. */
static inline REAL power_less_REAL(REAL base, REAL exponent, int n) {
    REAL lowered = pow(base, exponent - n), divided = pow(base, exponent);
    for (int i = 0; i < n; i++) divided = divided / base;
    return exponent < (REAL)0.5 * n && isfinite(divided) && divided != 0 && base != 0 ? divided : lowered;
}
static inline REAL pow_by_base_REAL(REAL base, REAL exponent) {
    REAL lowered = power_less_REAL(base, exponent, 1);
    return exponent == 0 || (isinf(exponent) && lowered == 0) ? 0 : exponent * lowered;
}
static inline REAL pow_by_exponent_REAL(REAL base, REAL exponent) {
    REAL value = pow(base, exponent);
    return (base == 0 && exponent >= 0) || (value == 0 && base > 0) ? 0 : value * log(base);
}

/* The first largest of a row; NaN is larger than anything. */
INLINE int64_t top_of_REAL(const REAL* x, int64_t n) {
    int64_t at = 0;
    REAL top = x[0];
    for (int64_t j = 1; j < n; j++) {
        int better = x[j] > top || (x[j] != x[j] && top == top);
        top = better ? x[j] : top;
        at = better ? j : at;
    }
    return at;
}
/* e = exp(x - top), but 0 at the first maximum; the sum of e. */
INLINE REAL exponentials_REAL(const REAL* x, REAL* e, int64_t n, int64_t at, REAL top) {
    for (int64_t j = 0; j < n; j++) e[j] = exp(x[j] - top);
    e[at] = 0;
    Total rest = {0, 0};
    for (int64_t j = 0; j < n; j += 512) {
        int64_t end = j + 512 < n ? j + 512 : n;
        REAL part = 0;
        _Pragma("omp simd reduction(+:part)") for (int64_t i = j; i < end; i++) part += e[i];
        add_to(&rest, part);
    }
    return total_of(rest);
}
static inline void softmax_REAL(const REAL* x, REAL* y, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++, x += n, y += n) {
        int64_t at = top_of_REAL(x, n);
        REAL top = x[at], whole = 1 + exponentials_REAL(x, y, n, at, top) + (top - top);
        y[at] = 1;
        for (int64_t j = 0; j < n; j++) y[j] = y[j] / whole;
    }
}
static inline void log_softmax_REAL(const REAL* x, REAL* y, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++, x += n, y += n) {
        int64_t at = top_of_REAL(x, n);
        REAL top = x[at], safe = top == -(REAL)INFINITY ? 0 : top;
        REAL rest = log1p(exponentials_REAL(x, y, n, at, safe));
        for (int64_t j = 0; j < n; j++) y[j] = (x[j] - top) - rest;
    }
}
static inline void logsumexp_REAL(const REAL* x, REAL* y, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++, x += n) {
        int64_t at = top_of_REAL(x, n);
        REAL top = x[at], safe = top == -(REAL)INFINITY ? 0 : top;
        Total rest = {0, 0};
        for (int64_t j = 0; j < n; j += 512) {
            int64_t end = j + 512 < n ? j + 512 : n;
            REAL part = 0;
            _Pragma("omp simd reduction(+:part)") for (int64_t k = j; k < end; k++)
                part += k == at ? (REAL)0 : exp(x[k] - safe);
            add_to(&rest, part);
        }
        y[i] = top == (REAL)INFINITY ? top : top + log1p((REAL)total_of(rest));
    }
}
INLINE int class_loss_REAL(const REAL* restrict x, const int64_t* restrict t, REAL* restrict y, REAL* restrict e,
                           REAL* restrict rest, int64_t* restrict place, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++) if (t[i] < 0 || t[i] >= n) return 1;
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = top_of_REAL(x + i * n, n);
        REAL top = x[i * n + at];
        place[i] = at;
        y[i] = top - x[i * n + t[i]];
        for (int64_t j = 0; j < n; j++) e[i * n + j] = x[i * n + j] - top;
    }
    _Pragma("omp simd") for (int64_t i = 0; i < rows * n; i++) e[i] = exp(e[i]);
    for (int64_t i = 0; i < rows; i++) {
        REAL top = x[i * n + place[i]];
        e[i * n + place[i]] = top - top;
        REAL sum = 0;
        if (n <= 64) {
            for (int64_t j = 0; j < n; j++) sum += e[i * n + j];
        } else {
            Total total = {0, 0};
            for (int64_t j = 0; j < n; j += 512) {
                int64_t end = j + 512 < n ? j + 512 : n;
                REAL part = 0;
                _Pragma("omp simd reduction(+:part)") for (int64_t k = j; k < end; k++) part += e[i * n + k];
                add_to(&total, part);
            }
            sum = total_of(total);
        }
        rest[i] = sum;
    }
    _Pragma("omp simd") for (int64_t i = 0; i < rows; i++) y[i] += log1p(rest[i]);
    return 0;
}
INLINE int class_gradient_saved_REAL(const int64_t* restrict t, const REAL* restrict e, const REAL* restrict rest,
                                     const int64_t* restrict place, REAL* restrict p, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++) {
        if (t[i] < 0 || t[i] >= n) return 1;
        REAL whole = 1 + rest[i], sum = 0;
        for (int64_t j = 0; j < n; j++) p[i * n + j] = e[i * n + j] / whole;
        p[i * n + place[i]] = 1 / whole;
        p[i * n + t[i]] = 0;
        _Pragma("omp simd reduction(+:sum)") for (int64_t j = 0; j < n; j++) sum += p[i * n + j];
        p[i * n + t[i]] = -sum;
    }
    return 0;
}
static inline int class_gradient_REAL(const REAL* x, const int64_t* t, REAL* p, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++) {
        if (t[i] < 0 || t[i] >= n) return 1;
        int64_t at = top_of_REAL(x + i * n, n);
        REAL top = x[i * n + at], sum = 0;
        REAL whole = 1 + (exponentials_REAL(x + i * n, p + i * n, n, at, top) + (top - top));
        p[i * n + at] = 1;
        for (int64_t j = 0; j < n; j++) p[i * n + j] = p[i * n + j] / whole;
        p[i * n + t[i]] = 0;
        _Pragma("omp simd reduction(+:sum)") for (int64_t j = 0; j < n; j++) sum += p[i * n + j];
        p[i * n + t[i]] = -sum;
    }
    return 0;
}
/* -sum(t log softmax(x)); a class of probability 0 takes no part. */
static inline void soft_class_loss_REAL(const REAL* x, const REAL* t, REAL* y, int64_t rows, int64_t n) {
    REAL e[n];
    for (int64_t i = 0; i < rows; i++, x += n, t += n) {
        int64_t at = top_of_REAL(x, n);
        REAL top = x[at], safe = top == -(REAL)INFINITY ? 0 : top;
        REAL rest = log1p(exponentials_REAL(x, e, n, at, safe)), sum = 0;
        for (int64_t j = 0; j < n; j++) sum += t[j] == 0 ? 0 : t[j] * ((x[j] - top) - rest);
        y[i] = -sum;
    }
}
/* p (T - t) - t (1 - p), 1 - p of the largest being the sum of the others. */
static inline void soft_class_gradient_REAL(const REAL* x, const REAL* t, REAL* y, int64_t rows, int64_t n) {
    REAL e[n];
    for (int64_t i = 0; i < rows; i++, x += n, t += n, y += n) {
        int64_t at = top_of_REAL(x, n);
        REAL top = x[at], safe = top == -(REAL)INFINITY ? 0 : top, all = 0;
        REAL rest = exponentials_REAL(x, e, n, at, safe), whole = 1 + rest + (top - top);
        e[at] = 1;
        for (int64_t j = 0; j < n; j++) all += t[j];
        for (int64_t j = 0; j < n; j++) {
            REAL p = e[j] / whole, others = j == at ? rest / whole : 1 - p;
            y[j] = p * (all - t[j]) - t[j] * others;
        }
    }
}
/*-- end --*/
#define sigmoid(x) BY_TYPE(sigmoid, x)(x)
#define sigmoid_slope(x) BY_TYPE(sigmoid_slope, x)(x)
#define tanh_slope(x) BY_TYPE(tanh_slope, x)(x)
#define softplus(x) BY_TYPE(softplus, x)(x)
#define silu_slope(x) BY_TYPE(silu_slope, x)(x)
#define leaky_gate(z, x, slope) BY_TYPE(leaky_gate, z)(z, x, slope)
#define gelu(x) BY_TYPE(gelu, x)(x)
#define gelu_slope(x) BY_TYPE(gelu_slope, x)(x)
#define gelu_bend(x) BY_TYPE(gelu_bend, x)(x)
#define normal_density(x) BY_TYPE(normal_density, x)(x)
#define bce_with_logits(x, t) BY_TYPE(bce_with_logits, (x) + (t))(x, t)
#define bce_gradient(x, t) BY_TYPE(bce_gradient, (x) + (t))(x, t)
#define power_less(x, y, n) BY_TYPE(power_less, (x) + (y))(x, y, n)
#define pow_by_base(x, y) BY_TYPE(pow_by_base, (x) + (y))(x, y)
#define pow_by_exponent(x, y) BY_TYPE(pow_by_exponent, (x) + (y))(x, y)
