#include "textflag.h"

// A word of sixteen messages is one register. What a step adds to a before it
// needs b is off the chain from step to step, which is ternary logic, add,
// rotate, add: four cycles.
//
//	Z0-Z3    a, b, c, d
//	Z4-Z7    the same in front of the block
//	Z8-Z15   scratch
//	Z16-Z31  the words of the block
//	K1, K2   lanes that have this block, and the next
//	DI SI BX sums, arena, group; R8 the sines

// The tables of f(b, c, d) at index d<<2 | c<<1 | b (RFC 1321 3.4).
#define F 0xd8
#define G 0xac
#define H 0x96
#define I 0x63

#define STEP(f, a, b, c, d, m, k, s) \
	VPADDD.BCST (4*(k))(R8), m, Z8; \
	VMOVDQA32   d, Z9;            \
	VPADDD      Z8, a, a;         \
	VPTERNLOGD  $f, b, c, Z9;     \
	VPADDD      Z9, a, a;         \
	VPROLD      $s, a, a;         \
	VPADDD      b, a, a

#define STEPS(f, k, m0, m1, m2, m3, s0, s1, s2, s3) \
	STEP(f, Z0, Z1, Z2, Z3, m0, k+0, s0); \
	STEP(f, Z3, Z0, Z1, Z2, m1, k+1, s1); \
	STEP(f, Z2, Z3, Z0, Z1, m2, k+2, s2); \
	STEP(f, Z1, Z2, Z3, Z0, m3, k+3, s3)

// FLIP transposes four rows of four words in each quarter of the registers.
#define FLIP(a, b, c, d, p, q, r, s) \
	VPUNPCKLDQ  b, a, Z12;   \
	VPUNPCKHDQ  b, a, Z13;   \
	VPUNPCKLDQ  d, c, Z14;   \
	VPUNPCKHDQ  d, c, Z15;   \
	VPUNPCKLQDQ Z14, Z12, p; \
	VPUNPCKHQDQ Z14, Z12, q; \
	VPUNPCKLQDQ Z15, Z13, r; \
	VPUNPCKHQDQ Z15, Z13, s

// ROWS flips the blocks of the four lanes from lane on.
#define ROWS(lane, p, q, r, s) \
	MOVL      (64+4*lane)(BX), R9;  \
	MOVL      (68+4*lane)(BX), R10; \
	MOVL      (72+4*lane)(BX), R11; \
	MOVL      (76+4*lane)(BX), R12; \
	VMOVDQU32 (SI)(R9*1), Z8;       \
	VMOVDQU32 (SI)(R10*1), Z9;      \
	VMOVDQU32 (SI)(R11*1), Z10;     \
	VMOVDQU32 (SI)(R12*1), Z11;     \
	FLIP(Z8, Z9, Z10, Z11, p, q, r, s)

// QUARTERS transposes the quarters of four registers.
#define QUARTERS(a, b, c, d) \
	VSHUFI32X4 $0x44, b, a, Z12;   \
	VSHUFI32X4 $0xee, b, a, Z13;   \
	VSHUFI32X4 $0x44, d, c, Z14;   \
	VSHUFI32X4 $0xee, d, c, Z15;   \
	VSHUFI32X4 $0x88, Z14, Z12, a; \
	VSHUFI32X4 $0xdd, Z14, Z12, b; \
	VSHUFI32X4 $0x88, Z15, Z13, c; \
	VSHUFI32X4 $0xdd, Z15, Z13, d

// GATHER takes the sums of every fourth lane, SCATTER puts them back.
#define GATHER(lane, x, z) \
	MOVL         (4*lane)(BX), R9;          \
	MOVL         (16+4*lane)(BX), R10;      \
	MOVL         (32+4*lane)(BX), R11;      \
	MOVL         (48+4*lane)(BX), R12;      \
	VMOVDQU      (DI)(R9*1), x;             \
	VINSERTI32X4 $1, (DI)(R10*1), z, z;     \
	VINSERTI32X4 $2, (DI)(R11*1), z, z;     \
	VINSERTI32X4 $3, (DI)(R12*1), z, z

#define SCATTER(lane, x, z) \
	MOVL          (4*lane)(BX), R9;      \
	MOVL          (16+4*lane)(BX), R10;  \
	MOVL          (32+4*lane)(BX), R11;  \
	MOVL          (48+4*lane)(BX), R12;  \
	VMOVDQU       x, (DI)(R9*1);         \
	VEXTRACTI32X4 $1, z, (DI)(R10*1);    \
	VEXTRACTI32X4 $2, z, (DI)(R11*1);    \
	VEXTRACTI32X4 $3, z, (DI)(R12*1)

// func blocksAVX512(sums *[16]byte, arena *byte, work *group)
TEXT ·blocksAVX512(SB), NOSPLIT, $0-24
	MOVQ sums+0(FP), DI
	MOVQ arena+8(FP), SI
	MOVQ work+16(FP), BX
	LEAQ ·sines(SB), R8

	GATHER(0, X4, Z4)
	GATHER(1, X5, Z5)
	GATHER(2, X6, Z6)
	GATHER(3, X7, Z7)
	FLIP(Z4, Z5, Z6, Z7, Z4, Z5, Z6, Z7)
	VMOVDQU32 128(BX), Z10
	VPTESTMD  Z10, Z10, K2

block:
	ROWS(0, Z16, Z17, Z18, Z19)
	ROWS(4, Z20, Z21, Z22, Z23)
	ROWS(8, Z24, Z25, Z26, Z27)
	ROWS(12, Z28, Z29, Z30, Z31)

	// A lane that has a block left goes on to it. The others stay where
	// they are, so that they read nothing beyond their message.
	KMOVW      K2, K1
	VMOVDQU32  128(BX), Z10
	VMOVDQU32  64(BX), Z11
	VPTERNLOGD $0xff, Z12, Z12, Z12
	VPADDD     Z12, Z10, K1, Z10
	VPTESTMD   Z10, Z10, K2
	VPSLLD     $6, Z12, Z12
	VPSUBD     Z12, Z11, K2, Z11
	VMOVDQU32  Z10, 128(BX)
	VMOVDQU32  Z11, 64(BX)

	VMOVDQA32 Z4, Z0
	VMOVDQA32 Z5, Z1
	VMOVDQA32 Z6, Z2
	VMOVDQA32 Z7, Z3

	// The chain starts before all words are there.
	QUARTERS(Z16, Z20, Z24, Z28)
	STEP(F, Z0, Z1, Z2, Z3, Z16, 0, 7)
	QUARTERS(Z17, Z21, Z25, Z29)
	STEP(F, Z3, Z0, Z1, Z2, Z17, 1, 12)
	QUARTERS(Z18, Z22, Z26, Z30)
	STEP(F, Z2, Z3, Z0, Z1, Z18, 2, 17)
	QUARTERS(Z19, Z23, Z27, Z31)
	STEP(F, Z1, Z2, Z3, Z0, Z19, 3, 22)
	STEPS(F, 4, Z20, Z21, Z22, Z23, 7, 12, 17, 22)
	STEPS(F, 8, Z24, Z25, Z26, Z27, 7, 12, 17, 22)
	STEPS(F, 12, Z28, Z29, Z30, Z31, 7, 12, 17, 22)

	STEPS(G, 16, Z17, Z22, Z27, Z16, 5, 9, 14, 20)
	STEPS(G, 20, Z21, Z26, Z31, Z20, 5, 9, 14, 20)
	STEPS(G, 24, Z25, Z30, Z19, Z24, 5, 9, 14, 20)
	STEPS(G, 28, Z29, Z18, Z23, Z28, 5, 9, 14, 20)

	STEPS(H, 32, Z21, Z24, Z27, Z30, 4, 11, 16, 23)
	STEPS(H, 36, Z17, Z20, Z23, Z26, 4, 11, 16, 23)
	STEPS(H, 40, Z29, Z16, Z19, Z22, 4, 11, 16, 23)
	STEPS(H, 44, Z25, Z28, Z31, Z18, 4, 11, 16, 23)

	STEPS(I, 48, Z16, Z23, Z30, Z21, 6, 10, 15, 21)
	STEPS(I, 52, Z28, Z19, Z26, Z17, 6, 10, 15, 21)
	STEPS(I, 56, Z24, Z31, Z22, Z29, 6, 10, 15, 21)
	STEPS(I, 60, Z20, Z27, Z18, Z25, 6, 10, 15, 21)

	VPADDD   Z0, Z4, K1, Z4
	VPADDD   Z1, Z5, K1, Z5
	VPADDD   Z2, Z6, K1, Z6
	VPADDD   Z3, Z7, K1, Z7
	KORTESTW K2, K2
	JNE      block

	FLIP(Z4, Z5, Z6, Z7, Z4, Z5, Z6, Z7)
	SCATTER(0, X4, Z4)
	SCATTER(1, X5, Z5)
	SCATTER(2, X6, Z6)
	SCATTER(3, X7, Z7)
	VZEROUPPER
	RET
