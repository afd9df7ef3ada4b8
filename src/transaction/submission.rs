//! A submission: a batch of transactions under one signature.

use crate::codec::{Digest, Writer};
use crate::transaction::{Encoded, KeyId, SignatureCheck, Signer};

/// Domain separator of a submission's signature, so that it is valid for nothing else.
const DOMAIN: &[u8] = b"ledgerline/submission/v1\n";

/// Why a submission is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// No transaction in it.
    #[error("the submission has no transactions")]
    Empty,
    /// More than [`crate::limits::MAX_SUBMISSION_TRANSACTIONS`].
    #[error("the submission has {0} transactions, the limit is {max}", max = crate::limits::MAX_SUBMISSION_TRANSACTIONS)]
    TooLarge(usize),
    /// The signature is not the signer's over this ledger's name and these transactions.
    #[error("the submission's signature does not match its transactions, ledger and signer {0}")]
    BadSignature(KeyId),
}

/// A batch of transactions, the Merkle root over them and one signature over a domain tag, the
/// ledger's name and that root. The root is made of the transactions and of nothing else, so that
/// whoever has a submission need not make it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    signer: KeyId,
    root: Digest,
    signature: [u8; 64],
    transactions: Vec<Encoded>,
}

impl Submission {
    /// Signs transactions for a ledger.
    #[must_use]
    pub fn sign<T: Into<Encoded>>(
        ledger: &str,
        signer: &Signer,
        transactions: impl IntoIterator<Item = T>,
    ) -> Self {
        let transactions: Vec<_> = transactions.into_iter().map(Into::into).collect();
        let root = root_of(&transactions);
        let signature = signer.sign(&root_message(ledger, &root));
        Self { signer: signer.id(), root, signature, transactions }
    }

    /// A submission that somebody else has signed; [`Submission::verify`] tells whether they have.
    #[must_use]
    pub fn signed(signer: KeyId, signature: [u8; 64], transactions: Vec<Encoded>) -> Self {
        Self { signer, root: root_of(&transactions), signature, transactions }
    }

    /// Public key of the signer.
    #[must_use]
    pub fn signer(&self) -> KeyId {
        self.signer
    }

    /// Root of the RFC 6962 tree over the transactions' canonical bytes.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// Ed25519 signature.
    #[must_use]
    pub fn signature(&self) -> [u8; 64] {
        self.signature
    }

    /// The transactions in order.
    #[must_use]
    pub fn transactions(&self) -> &[Encoded] {
        &self.transactions
    }

    /// The transactions alone.
    #[must_use]
    pub fn into_transactions(self) -> Vec<Encoded> {
        self.transactions
    }

    /// Checks size and signature.
    pub fn verify(&self, ledger: &str, check: &mut SignatureCheck) -> Result<(), SubmissionError> {
        match self.transactions.len() {
            0 => return Err(SubmissionError::Empty),
            n if n > crate::limits::MAX_SUBMISSION_TRANSACTIONS => {
                return Err(SubmissionError::TooLarge(n));
            }
            _ => {}
        }
        let fits = verify_root(ledger, (&self.signer, &self.root, &self.signature), check);
        fits.then_some(()).ok_or(SubmissionError::BadSignature(self.signer))
    }
}

/// True if a signature covers a root of transactions for a ledger.
#[must_use]
pub fn verify_root(
    ledger: &str,
    (signer, root, signature): (&KeyId, &Digest, &[u8; 64]),
    check: &mut SignatureCheck,
) -> bool {
    check.passes(signer, &root_message(ledger, root), signature)
}

/// The message that a submission's signature covers.
#[must_use]
pub fn root_message(ledger: &str, root: &Digest) -> Vec<u8> {
    let mut writer = Writer::onto(DOMAIN.to_vec());
    writer.text(ledger);
    writer.digest(root);
    writer.into_bytes()
}

/// Root of the tree over the canonical bytes of transactions.
#[must_use]
pub fn root_of(transactions: &[Encoded]) -> Digest {
    merkle_root(transactions.iter().map(Encoded::leaf_hash).collect())
}

/// RFC 6962 section 2.1: the hash of a leaf.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], bytes])
}

/// RFC 6962 section 2.1: the hash of an inner node.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// RFC 6962 section 2.1: the hash of a list of leaf hashes. Pairing neighbours level by level, with
/// an odd last one carried up, gives the same tree as the definition's split at a power of two.
#[must_use]
pub fn merkle_root(mut level: Vec<Digest>) -> Digest {
    if level.is_empty() {
        return Digest::of(&[]);
    }
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node_hash(left, right),
                odd => odd[0],
            })
            .collect();
    }
    level[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Arguments, Function, Payload};
    use crate::codec::json::json;
    use crate::event::{DeviceName, RecordDigests, SourcePartition, SourcePosition};
    use crate::limits::MAX_SUBMISSION_TRANSACTIONS;
    use crate::transaction::Transaction;

    fn transaction() -> Encoded {
        let payload = Payload {
            contract: "machine".into(),
            function: Function::Update,
            arguments: Arguments::from_value(json!({"machineID": "M1"})).unwrap(),
            mapping: Digest::default(),
        };
        let id = SourcePosition { partition: SourcePartition::new("t", 0), offset: 1, output: 0 };
        let digests = RecordDigests { record: Digest::default(), value: Digest::default() };
        Transaction::new(id, (0, DeviceName::default()), digests, payload).into()
    }

    #[test]
    fn a_submission_has_one_transaction_at_least_and_as_many_as_the_limit_says() {
        let signer = Signer::from_seed(&[7; 32]);
        let of = |count| {
            let submission = Submission::sign("l", &signer, vec![transaction(); count]);
            submission.verify("l", &mut SignatureCheck::default())
        };
        let most = MAX_SUBMISSION_TRANSACTIONS;
        assert_eq!(of(0), Err(SubmissionError::Empty));
        assert_eq!((of(1), of(most)), (Ok(()), Ok(())));
        assert_eq!(of(most + 1), Err(SubmissionError::TooLarge(most + 1)));
    }
}
