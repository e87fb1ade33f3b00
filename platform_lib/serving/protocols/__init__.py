"""The three ways to ask and answer: each turns a body into rows and an answer into bytes. `answering` does what lies between, the same for all."""
