//! Assignments of a group's members, as Kafka's consumer protocol writes them.
//!
//! `ConsumerProtocolAssignment`: version (int16), then for each topic its name (int16 length and
//! bytes) and its partitions (int32 count, int32 each), behind an int32 count of topics.

/// Partitions of a topic in a member's assignment; none where the bytes have another form.
pub(super) fn assigned(bytes: &[u8], topic: &str) -> Vec<i32> {
    read(bytes, topic).unwrap_or_default()
}

fn read(bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    let mut rest = bytes;
    let _version = take::<2>(&mut rest)?;
    let topics = i32::from_be_bytes(take(&mut rest)?);
    let mut found = Vec::new();
    for _ in 0..topics {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, behind) = rest.split_at_checked(length)?;
        rest = behind;
        let partitions = i32::from_be_bytes(take(&mut rest)?);
        for _ in 0..partitions {
            let partition = i32::from_be_bytes(take(&mut rest)?);
            if name == topic.as_bytes() {
                found.push(partition);
            }
        }
    }
    Some(found)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
        for (topic, partitions) in topics {
            bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
        }
        // The member's own data.
        bytes.extend([255, 255, 255, 255]);
        bytes
    }

    #[test]
    fn partitions_of_a_topic_are_read_and_rubbish_is_none() {
        let bytes = assignment(&[("solo", &[0, 7]), ("other", &[1])]);
        assert_eq!(assigned(&bytes, "solo"), [0, 7]);
        assert_eq!(assigned(&bytes, "other"), [1]);
        assert_eq!(assigned(&bytes, "sol"), [0; 0]);
        for end in 0..bytes.len() - 4 {
            assert_eq!(assigned(&bytes[..end], "solo"), [0; 0], "cut after {end} bytes");
        }
        let endless = [[0, 1].as_slice(), &[127, 255, 255, 255], &[0; 8]].concat();
        assert_eq!(assigned(&endless, ""), [0; 0]);
        assert_eq!(assigned(&[0, 1, 255, 255, 255, 255], "solo"), [0; 0], "a negative count");
    }
}
