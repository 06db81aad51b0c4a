SELECT o.Data
FROM dicom, UNNEST(OtherElements) o
WHERE o.Tag = 'Tag_00091002'
