/* exp, tanh, the logistic function and the normal distribution, lane by lane: no call to the C library an element.
 *
 * Errors in units in the last place, with multiply-adds (and without): exp 1 (2), tanh 2.5 (3), logistic 2 (3), normal
 * distribution 4 (6), each as the tests measure them over the whole range, denormal results included unless the thread
 * flushes them. nan stays nan; infinities give the limits.
 *
 * exp: x = n log(2) + r with |r| <= log(2) / 2, and exp(r) = 1 + r + r^2 q(r), q a polynomial through Chebyshev's
 * nodes. Normal distribution: for t >= 0 the tail is exp(-t^2 / 2) M(t), M Mills' ratio over sqrt(2 pi). (t + K) M(t)
 * is a polynomial in (t - K) / (t + K), after Shepherd & Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2)
 * erfc x" (1981), so that the tail has small errors beside itself, and not beside 1.
 */

#ifdef SINGLE
#define ROUNDER ((real)0x1.8p23) /* what is added to it is rounded to a whole number, in its lowest bits */
#define FRACTION_BITS 23
#define EXPONENT_BIAS 127
#define LOW_HALF ((integer)0xfff) /* bits of a number whose upper half has an exact square */
#define LOG_2_UPPER ((real).693359375)
#define LOG_2_LOWER ((real) - 2.12194440e-4)
#define LEAST_EXP ((real) - 104) /* zero from here down, */
#define MOST_EXP ((real)89) /* infinite from here up */
#define MOST_DEVIATIONS ((real)15) /* the tail of the normal distribution is zero from here on */
#define LEAST_TANH ((real) - 20) /* twice where tanh is -1 */
static const real NAME(exp_terms)[] = { 1.3926213e-03, 8.363203e-03, 4.1666556e-02, 1.6666576e-01, .5 };
static const real NAME(tail_terms)[] = { 7.96089e-05,   -3.600304e-05,  -9.0701703e-04, 1.7740756e-03,
                                         4.224023e-03,  -3.3877183e-02, 1.1138217e-01,  -2.5314125e-01,
                                         4.4645256e-01, -6.402578e-01,  7.632305e-01 };
#else
#define ROUNDER ((real)0x1.8p52)
#define FRACTION_BITS 52
#define EXPONENT_BIAS 1023
#define LOW_HALF ((integer)0x7ffffff)
#define LOG_2_UPPER ((real)6.93145751953125e-1)
#define LOG_2_LOWER ((real)1.42860682030941723212e-6)
#define LEAST_EXP ((real) - 746)
#define MOST_EXP ((real)710)
#define MOST_DEVIATIONS ((real)40)
#define LEAST_TANH ((real) - 40)
static const real NAME(exp_terms)[] = { 2.5100424157005067e-08, 2.7620138719733994e-07, 2.7557268378684192e-06,
                                        2.480152119021773e-05,  0.00019841269863105968, 0.0013888888917281794,
                                        0.008333333333330051,   0.04166666666662399,    0.16666666666666669,
                                        0.5000000000000001 };
static const real NAME(tail_terms)[] = { 5.029549481402443e-10,   -7.75436960216706e-10,   -9.740987908416163e-09,
                                         -2.431196983517756e-09,  6.905411875948912e-08,   6.023457975978009e-08,
                                         -3.7874066667169225e-07, -4.986175292216977e-07,  2.142947963439369e-06,
                                         3.1892551888770846e-06,  -1.4236046824153623e-05, -1.593274440504697e-05,
                                         0.0001120427492407976,   6.38107588724098e-06,    -0.0009177465089849696,
                                         0.001748830577848525,    0.004223613380595137,    -0.03387132617787402,
                                         0.11138259657020912,     -0.253141799950945,      0.44645251705567823,
                                         -0.6402577602526173,     0.7632305289702032 };
#endif
#define TAIL_MIDDLE ((real)4.5) /* K */
#define LOG_2_E ((real)1.4426950408889634)
#define N_TERMS(terms) ((int)(sizeof(terms) / sizeof(*terms)))

/* The polynomial with these terms, that of the highest power first. */
INLINE vec NAME(polynomial)(vec x, const real *terms, int n_terms)
{
    vec sum = (vec){ 0 } + terms[0];
    UNROLL(int i = 1; i < n_terms; i++) sum = sum * x + terms[i];
    return sum;
}

INLINE vec NAME(magnitude)(vec x) { return (vec)((ivec)x & MAGNITUDE); }

/* x, but `bound` where it is below that, or where it is above. nan stays. */
INLINE vec NAME(at_least)(vec x, real bound) { return NAME(blend)((ivec)(x < bound), (vec){ 0 } + bound, x); }
INLINE vec NAME(at_most)(vec x, real bound) { return NAME(blend)((ivec)(x > bound), (vec){ 0 } + bound, x); }

/* 2 ** n of a normal number, from n + ROUNDER. */
INLINE vec NAME(power_of_2)(vec rounded)
{
    return (vec)(((NAME(bits))rounded << FRACTION_BITS) + ((natural)EXPONENT_BIAS << FRACTION_BITS));
}

/* exp(r) - 1 and n + ROUNDER, where x + rest = n log(2) + r; rest: small beside x, or what x was rounded by. */
INLINE vec NAME(reduced_exp)(vec x, vec rest, vec *rounded)
{
    *rounded = (x + rest) * LOG_2_E + ROUNDER;
    vec n = *rounded - ROUNDER;
    vec r = (x - n * LOG_2_UPPER) - n * LOG_2_LOWER + rest;
    return r + r * r * NAME(polynomial)(r, NAME(exp_terms), N_TERMS(NAME(exp_terms)));
}

/* exp(x + rest). The power of two goes in by halves: whole, it might be too large or too small for a number. */
INLINE vec NAME(exp_of_sum)(vec x, vec rest)
{
    vec rounded, fraction = NAME(reduced_exp)(NAME(at_most)(NAME(at_least)(x, LEAST_EXP), MOST_EXP), rest, &rounded);
    vec half = (rounded - ROUNDER) * (real).5 + ROUNDER;
    return (fraction + 1) * NAME(power_of_2)(half) * NAME(power_of_2)(rounded - (half - ROUNDER));
}

INLINE vec NAME(vector_exp)(vec x) { return NAME(exp_of_sum)(x, (vec){ 0 }); }

/* From exp(-2 |x|) - 1, so that small x keep all their digits. */
INLINE vec NAME(vector_tanh)(vec x)
{
    vec rounded,
        fraction = NAME(reduced_exp)(NAME(at_least)(NAME(magnitude)(x) * -2, LEAST_TANH), (vec){ 0 }, &rounded);
    vec power = NAME(power_of_2)(rounded), less_1 = (power - 1) + power * fraction;
    return (vec)(((ivec)(less_1 / (less_1 + 2)) & MAGNITUDE) | ((ivec)x & ~MAGNITUDE));
}

/* 1 / (1 + exp(-x)); 1 less that as well, unless NULL. */
INLINE vec NAME(vector_logistic)(vec x, vec *complement)
{
    vec e = NAME(vector_exp)(-NAME(magnitude)(x)), upper = 1 / (e + 1), lower = e * upper;
    ivec negative = (ivec)(x < 0);
    if (complement) *complement = NAME(blend)(negative, upper, lower);
    return NAME(blend)(negative, lower, upper);
}

/* The standard normal distribution function, and its density unless NULL. */
INLINE vec NAME(vector_normal)(vec x, vec *density)
{
    vec t = NAME(at_most)(NAME(magnitude)(x), MOST_DEVIATIONS), upper = (vec)((ivec)t & ~LOW_HALF);
    vec e = NAME(exp_of_sum)(upper * upper * (real)-.5, (t - upper) * (t + upper) * (real)-.5);
    vec scale = 1 / (t + TAIL_MIDDLE), place = (t - TAIL_MIDDLE) * scale;
    vec tail = e * (scale * NAME(polynomial)(place, NAME(tail_terms), N_TERMS(NAME(tail_terms))));
    if (density) *density = e * (real).3989422804014327;
    return NAME(blend)((ivec)(x < 0), tail, 1 - tail);
}

#undef ROUNDER
#undef FRACTION_BITS
#undef EXPONENT_BIAS
#undef LOW_HALF
#undef LOG_2_UPPER
#undef LOG_2_LOWER
#undef LEAST_EXP
#undef MOST_EXP
#undef MOST_DEVIATIONS
#undef LEAST_TANH
